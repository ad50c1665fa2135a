//! The HTTP that an MCP client speaks, by the HTTP client that the rest of the program has. It waits on threads of its own:
//! one for a message until its answer is whole. Opens no stream for what a server has to say unasked; knows no tool.

use futures::StreamExt as _;
use futures::stream::BoxStream;
use rmcp::model::ClientJsonRpcMessage;
use rmcp::model::ServerJsonRpcMessage;
use rmcp::transport::streamable_http_client::AuthRequiredError;
use rmcp::transport::streamable_http_client::HttpStatusError;
use rmcp::transport::streamable_http_client::SseError;
use rmcp::transport::streamable_http_client::StreamableHttpClient;
use rmcp::transport::streamable_http_client::StreamableHttpError;
use rmcp::transport::streamable_http_client::StreamableHttpPostResponse;
use sse_stream::Sse;
use sse_stream::SseStream;
use std::collections::HashMap;
use std::io;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::Sender;
use tokio::task::spawn_blocking;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::bytes::Bytes;
use ureq::Agent;
use ureq::Body;
use ureq::RequestBuilder;
use ureq::http::HeaderName;
use ureq::http::HeaderValue;
use ureq::http::Response;
use ureq::http::header;

/// Of one answer.
const MAX_BYTES: u64 = 16 << 20;

/// Whoever waits for longer has a deadline of its own that is over.
const PATIENCE: Duration = Duration::from_secs(300);

const SESSION: &str = "Mcp-Session-Id";
const EVENTS: &str = "text/event-stream";
const JSON: &str = "application/json";

type Failure = StreamableHttpError<ureq::Error>;

/// Sends messages.
#[derive(Clone, Debug)]
pub(super) struct Http {
    agent: Agent,
}

impl Http {
    pub(super) fn new() -> Self {
        let settings = Agent::config_builder()
            .user_agent(concat!("coconut/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(PATIENCE))
            .build();
        Self { agent: settings.into() }
    }
}

impl StreamableHttpClient for Http {
    type Error = ureq::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let request = self.agent.post(uri.as_ref()).header(header::CONTENT_TYPE, JSON);
        let request = request.header(header::ACCEPT, format!("{EVENTS}, {JSON}"));
        let has_session = session_id.is_some();
        let request = with_headers(request, session_id, auth_header, custom_headers);
        let body = serde_json::to_string(&message)?;
        let response = spawn_blocking(move || request.send(body)).await?;
        let response = response.map_err(Failure::Client)?;
        let session = text(&response, SESSION);
        match response.status().as_u16() {
            202 | 204 => return Ok(StreamableHttpPostResponse::Accepted),
            404 if has_session => return Err(Failure::SessionExpired),
            401 => {
                let challenge = text(&response, header::WWW_AUTHENTICATE.as_str());
                let challenge = AuthRequiredError::new(challenge.unwrap_or_default());
                return Err(Failure::AuthRequired(challenge));
            }
            _ => {}
        }
        let kind = text(&response, header::CONTENT_TYPE.as_str());
        let essence = kind.as_deref().unwrap_or_default().split(';').next().unwrap_or_default();
        let (status, essence) = (response.status(), essence.trim().to_ascii_lowercase());
        match essence.as_str() {
            EVENTS if status.is_success() => {
                Ok(StreamableHttpPostResponse::Sse(events(response.into_body()), session))
            }
            // An error may come with its reason.
            JSON => match serde_json::from_slice(&whole(response.into_body()).await?) {
                Ok(message @ ServerJsonRpcMessage::Error(_)) => {
                    Ok(StreamableHttpPostResponse::Json(message, session))
                }
                Ok(message) if status.is_success() => {
                    Ok(StreamableHttpPostResponse::Json(message, session))
                }
                Err(error) if status.is_success() => Err(Failure::Deserialize(error)),
                _ => Err(HttpStatusError::new(status.as_u16(), None).into()),
            },
            // What asks for nothing may be answered by nothing.
            "" if status.is_success() => Ok(StreamableHttpPostResponse::Accepted),
            _ if status.is_success() => Err(Failure::UnexpectedContentType(kind)),
            _ => Err(HttpStatusError::new(status.as_u16(), None).into()),
        }
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session_id: Arc<str>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Failure> {
        let request = self.agent.delete(uri.as_ref());
        let request = with_headers(request, Some(session_id), auth_header, custom_headers);
        let response = spawn_blocking(move || request.call()).await?;
        response.map_err(Failure::Client)?;
        Ok(())
    }

    async fn get_stream(
        &self,
        _: Arc<str>,
        _: Option<Arc<str>>,
        _: Option<String>,
        _: Option<String>,
        _: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failure> {
        // Nothing that comes unasked is of use here, and it would take a thread for ever.
        Err(Failure::ServerDoesNotSupportSse)
    }
}

fn with_headers<T>(
    mut request: RequestBuilder<T>,
    session: Option<Arc<str>>,
    token: Option<String>,
    headers: HashMap<HeaderName, HeaderValue>,
) -> RequestBuilder<T> {
    if let Some(session) = session {
        request = request.header(SESSION, session.as_ref());
    }
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    headers.into_iter().fold(request, |request, (name, value)| request.header(name, value))
}

fn text(response: &Response<Body>, name: &str) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_owned)
}

async fn whole(body: Body) -> Result<Vec<u8>, Failure> {
    let read = move || body.into_with_config().limit(MAX_BYTES).read_to_vec();
    spawn_blocking(read).await?.map_err(Failure::Client)
}

/// The events of an answer, read as they come.
fn events(body: Body) -> BoxStream<'static, Result<Sse, SseError>> {
    let (send, receive) = mpsc::channel(4);
    spawn_blocking(move || pass_on(body.into_reader().take(MAX_BYTES), &send));
    SseStream::from_bytes_stream(ReceiverStream::new(receive)).boxed()
}

/// Until the answer is at its end, or nobody reads it any more.
fn pass_on(mut body: impl Read, send: &Sender<io::Result<Bytes>>) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let piece = match body.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => Ok(Bytes::copy_from_slice(&buffer[..count])),
            Err(error) => Err(error),
        };
        let is_broken = piece.is_err();
        if send.blocking_send(piece).is_err() || is_broken {
            return;
        }
    }
}
