//! Requests to a hub: who is told the token, where redirects lead, how long an answer may take. Knows addresses and
//! headers; what is in an answer, it does not know.

use crate::hub::config::Access;
use crate::hub::config::Config;
use crate::hub::config::Waits;
use crate::hub::error::Error;
use crate::web::place::Place;
use std::path::PathBuf;
use std::time::Instant;
use ureq::Agent;
use ureq::Body;
use ureq::RequestBuilder;
use ureq::http::HeaderValue;
use ureq::http::Response;
use ureq::http::StatusCode;
use ureq::http::header;
use ureq::typestate::WithoutBody;

/// Hubs send on two or three times; a longer chain has no end.
const MAX_REDIRECTS: usize = 10;

/// More bytes than a list of files has.
const MAX_TEXT_BYTES: u64 = 64 << 20;

/// Where tokens are, as messages name it.
const TOKEN: &str = "HF_TOKEN, --hf-token or the token's file";

/// A hub that can be asked.
pub(super) struct Client {
    agent: Agent,
    endpoint: Place,
    /// `Bearer ...`
    authorization: Option<HeaderValue>,
    waits: Waits,
    /// For messages.
    cache: PathBuf,
}

/// What part of something is wanted.
#[derive(Clone, Copy)]
pub(super) enum Part {
    /// All of it, and it is small.
    Text,
    /// The first byte, for what is said about the rest.
    First,
    /// All from this byte on, however long it takes.
    From(u64),
}

/// A good answer, its body not read yet.
pub(super) struct Answer {
    response: Response<Body>,
    /// What the redirects on the way said of the content that they lead to.
    linked_etag: Option<String>,
}

/// Why there is no good answer.
pub(super) enum Failure {
    /// It is another answer.
    Status {
        status: u16,
        /// The place that it comes from, if the hub redirected there.
        redirected: Option<String>,
    },
    /// There is none, or not all of it.
    Broken(String),
    /// It leads elsewhere, where nobody follows.
    Redirect(String),
}

impl Client {
    /// Asks for nothing yet.
    pub(super) fn new(config: &Config) -> Result<Self, Error> {
        let setting = |setting, reason| Error::Setting { setting, reason };
        let endpoint = Place::endpoint(&config.endpoint)
            .map_err(|reason| setting("HF_ENDPOINT or --hf-endpoint", reason))?;
        let token = match config.access {
            Access::Online => {
                config.token.read().map_err(|error| setting(TOKEN, error.to_string()))?
            }
            // Nobody is told.
            Access::Offline => None,
        };
        let authorization = token.map(|token| {
            let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| {
                // Not what it holds: it is a secret.
                setting(TOKEN, "the token holds characters that no token has".to_owned())
            })?;
            value.set_sensitive(true);
            Ok(value)
        });
        // Proxies are those of the environment, as other tools that use the hub have it.
        let settings = Agent::config_builder()
            .user_agent(concat!("coconut/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            .max_redirects(0)
            .build();
        let (agent, authorization) = (settings.into(), authorization.transpose()?);
        let (waits, cache) = (config.waits, config.cache.clone());
        Ok(Self { agent, endpoint, authorization, waits, cache })
    }

    /// The hub, as messages name it.
    pub(super) fn name(&self) -> String {
        self.endpoint.to_string()
    }

    /// How long things may take.
    pub(super) fn waits(&self) -> Waits {
        self.waits
    }

    /// The error for a failed request. `asked` is the repository or file.
    pub(super) fn error(&self, asked: &str, failure: Failure) -> Error {
        let (asked, endpoint) = (asked.to_owned(), self.name());
        match failure {
            Failure::Status { status: status @ (401 | 403), redirected } => {
                let by = redirected.map_or_else(
                    || format!("the hub {endpoint}"),
                    |place| format!("{place}, to which the hub {endpoint} redirects,"),
                );
                Error::Denied { asked, by, status }
            }
            Failure::Status { status: 404, redirected } => {
                let endpoint = match redirected {
                    Some(place) => format!("{endpoint}, which redirects to {place}"),
                    None => endpoint,
                };
                Error::NotFound { asked, endpoint }
            }
            Failure::Status { status, redirected } => {
                let by = redirected.map_or_else(String::new, |by| format!(", redirected to {by}"));
                Error::Failed { asked, endpoint, reason: format!("it answered {status}{by}") }
            }
            Failure::Redirect(reason) => Error::Failed { asked, endpoint, reason },
            Failure::Broken(reason) => {
                Error::Unreachable { asked, endpoint, reason, cache: self.cache.clone() }
            }
        }
    }

    /// The error for an answer that cannot be used.
    pub(super) fn unusable(&self, asked: &str, reason: impl Into<String>) -> Error {
        let (asked, endpoint, reason) = (asked.to_owned(), self.name(), reason.into());
        Error::Failed { asked, endpoint, reason }
    }

    /// Asks for a path below the endpoint, whose parts are written as addresses have them.
    pub(super) fn get(&self, path: &str, part: Part) -> Result<Answer, Failure> {
        let start = Instant::now();
        let mut place = self.endpoint.below(path).map_err(Failure::Broken)?;
        let mut linked_etag = None;
        for redirects in 0..=MAX_REDIRECTS {
            let request = self.request(&place, part, start);
            let response = request.call().map_err(|error| {
                let towards = if redirects > 0 { format!(" at {place}") } else { String::new() };
                Failure::Broken(format!("{error}{towards}"))
            })?;
            linked_etag = linked_etag.or_else(|| text(&response, "x-linked-etag"));
            let status = response.status();
            if status.is_success() {
                return Ok(Answer { response, linked_etag });
            }
            if !is_redirect(status) {
                let redirected = (redirects > 0).then(|| place.to_string());
                return Err(Failure::Status { status: status.as_u16(), redirected });
            }
            let location = response.headers().get(header::LOCATION).map(HeaderValue::as_bytes);
            let location = location.ok_or_else(|| {
                Failure::Redirect(format!("{place} redirects ({status}) without saying where to"))
            })?;
            place = place.redirected(location).map_err(Failure::Redirect)?;
        }
        let reason = format!("redirected more than {MAX_REDIRECTS} times, last to {place}");
        Err(Failure::Redirect(reason))
    }

    fn request(&self, place: &Place, part: Part, start: Instant) -> RequestBuilder<WithoutBody> {
        let mut request = self.agent.get(place.address());
        if let Some(authorization) = &self.authorization
            && place.belongs_to(&self.endpoint)
        {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let range = match part {
            Part::Text => None,
            Part::First => Some("bytes=0-0".to_owned()),
            Part::From(byte) => Some(format!("bytes={byte}-")),
        };
        if let Some(range) = range {
            request = request.header(header::RANGE, range);
        }
        let settings = request.config();
        let settings = match part {
            Part::Text | Part::First => {
                settings.timeout_global(Some(self.waits.answer.saturating_sub(start.elapsed())))
            }
            Part::From(_) => settings
                .timeout_resolve(Some(self.waits.silence))
                .timeout_connect(Some(self.waits.silence))
                .timeout_recv_response(Some(self.waits.silence))
                .timeout_per_read(Some(self.waits.silence)),
        };
        settings.build()
    }
}

impl Answer {
    /// Reads a text whole.
    pub(super) fn text(self) -> Result<String, Failure> {
        let body = self.response.into_body().into_with_config().limit(MAX_TEXT_BYTES);
        body.read_to_string().map_err(|error| Failure::Broken(error.to_string()))
    }

    /// The bytes as they come.
    pub(super) fn reader(self) -> impl std::io::Read {
        self.response.into_body().into_reader()
    }

    /// The hash of the whole content, in whatever way the server computes it.
    pub(super) fn etag(&self) -> Option<String> {
        let own = || text(&self.response, header::ETAG.as_str());
        let etag = self.linked_etag.clone().or_else(own)?;
        Some(etag.trim_start_matches("W/").trim_matches('"').to_owned())
    }

    /// The first byte of what is sent, where that is said: 0 of a whole file.
    pub(super) fn first_byte(&self) -> Option<u64> {
        match self.response.status() {
            StatusCode::PARTIAL_CONTENT => text(&self.response, header::CONTENT_RANGE.as_str())?
                .strip_prefix("bytes ")?
                .split('-')
                .next()?
                .parse()
                .ok(),
            _ => Some(0),
        }
    }

    /// The length of the whole file, where that is said.
    pub(super) fn whole_bytes(&self) -> Option<u64> {
        let length = match self.response.status() {
            StatusCode::PARTIAL_CONTENT => text(&self.response, header::CONTENT_RANGE.as_str())?
                .rsplit('/')
                .next()
                .map(str::to_owned),
            _ => text(&self.response, header::CONTENT_LENGTH.as_str()),
        };
        length?.trim().parse().ok()
    }
}

fn text(response: &Response<Body>, name: &str) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_owned)
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}
