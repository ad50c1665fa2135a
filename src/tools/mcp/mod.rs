//! Tools of an MCP server: a program that is started here and spoken to through its input and output, or an address. Knows
//! the protocol by the official SDK; what the tools do, only the server knows.

mod http;
#[cfg(test)]
mod tests;

use crate::tools::call::Call;
use crate::tools::call::Declaration;
use crate::tools::mcp::http::Http;
use crate::tools::tool::Given;
use crate::tools::tool::Tool;
use rmcp::RoleClient;
use rmcp::ServiceExt as _;
use rmcp::model::CallToolRequestParams;
use rmcp::model::CallToolResult;
use rmcp::model::ClientCapabilities;
use rmcp::model::ClientConfig;
use rmcp::model::ContentBlock;
use rmcp::model::Implementation;
use rmcp::model::ResourceContents;
use rmcp::service::Peer;
use rmcp::service::RunningService;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::TokioChildProcess;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::Map;
use serde_json::Value;
use std::time::Duration;
use std::time::Instant;
use tokio::process::Command;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio::time::timeout_at;

/// A server that does not say what it has by then is none.
const PATIENCE: Duration = Duration::from_secs(30);

/// More than a model can choose from.
const MAX_TOOLS: usize = 128;

/// What this program is given in secret, and no program that it starts.
const SECRETS: [&str; 4] =
    ["COCONUT_API_KEYS", "COCONUT_API_KEYS_FILE", "COCONUT_API_KEY", "HF_TOKEN"];

type Connection = RunningService<RoleClient, ClientConfig>;

/// A server, and the tools that it has.
pub struct Mcp {
    target: Target,
    declarations: Vec<Declaration>,
    /// Made anew when it is lost.
    connection: Mutex<Connection>,
    /// On which a call waits, from a thread of its own.
    runtime: Handle,
}

/// Where a server is.
enum Target {
    /// A program and what it is given.
    Program(Vec<String>),
    /// An address.
    Address(String),
}

impl Mcp {
    /// Starts a server (`python3 server.py`) or goes to one (`https://...`), and asks what it has.
    ///
    /// # Errors
    /// If it is none, or has nothing.
    pub async fn open(target: &str) -> Result<Self, String> {
        let target = Target::parse(target)?;
        let opening = async {
            let connection = target.connect().await?;
            let listed = connection.list_all_tools().await;
            let listed = listed.map_err(|error| format!("it does not say its tools: {error}"))?;
            Ok::<_, String>((connection, listed))
        };
        let late = |_| format!("it did not say its tools within {} s", PATIENCE.as_secs());
        let (connection, listed) = timeout(PATIENCE, opening).await.map_err(late)??;
        if listed.is_empty() || listed.len() > MAX_TOOLS {
            return Err(format!("it has {} tools, not 1 to {MAX_TOOLS}", listed.len()));
        }
        let declaration = |tool: rmcp::model::Tool| Declaration {
            name: tool.name.into_owned(),
            description: tool.description.unwrap_or_default().into_owned(),
            parameters: Value::Object((*tool.input_schema).clone()),
        };
        let declarations = listed.into_iter().map(declaration).collect();
        let (connection, runtime) = (Mutex::new(connection), Handle::current());
        Ok(Self { target, declarations, connection, runtime })
    }

    async fn call(&self, name: String, fields: Map<String, Value>) -> Result<String, String> {
        let request = CallToolRequestParams::new(name).with_arguments(fields);
        let result = self.peer().await?.call_tool(request).await;
        let result = result.map_err(|error| error.to_string())?;
        let text = text(&result);
        if result.is_error == Some(true) { Err(text) } else { Ok(text) }
    }

    async fn peer(&self) -> Result<Peer<RoleClient>, String> {
        let mut connection = self.connection.lock().await;
        if connection.is_closed() || connection.is_transport_closed() {
            *connection = self.target.connect().await?;
        }
        Ok(connection.peer().clone())
    }
}

impl Tool for Mcp {
    fn declarations(&self) -> Vec<Declaration> {
        self.declarations.clone()
    }

    fn run(&self, call: &Call, _: &mut Given, deadline: Instant) -> Result<String, String> {
        let known = self.declarations.iter().find(|known| known.name == call.name);
        let known = known.ok_or("the server has no such tool")?;
        let fields = call.argument.object(&known.parameters)?;
        let calling = self.call(call.name.clone(), fields);
        let ended = self.runtime.block_on(async { timeout_at(deadline.into(), calling).await });
        ended.map_err(|_| "it took too long".to_owned())?
    }
}

impl Target {
    fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("https://") || text.starts_with("http://") {
            return Ok(Self::Address(text.to_owned()));
        }
        match shlex::split(text) {
            Some(words) if !words.is_empty() => Ok(Self::Program(words)),
            Some(_) => Err("it names neither a program nor an address".to_owned()),
            None => Err("a quote is not closed".to_owned()),
        }
    }

    async fn connect(&self) -> Result<Connection, String> {
        let itself = Implementation::new("coconut", env!("CARGO_PKG_VERSION"));
        let client = ClientConfig::new(ClientCapabilities::default(), itself);
        match self {
            Self::Program(words) => {
                let mut command = Command::new(&words[0]);
                command.args(&words[1..]).kill_on_drop(true);
                for secret in SECRETS {
                    command.env_remove(secret);
                }
                let program = &words[0];
                let child = TokioChildProcess::new(command);
                let child = child.map_err(|error| format!("{program} does not start: {error}"))?;
                client.serve(child).await.map_err(|error| format!("{program}: {error}"))
            }
            Self::Address(address) => {
                let config = StreamableHttpClientTransportConfig::with_uri(address.as_str());
                let transport = StreamableHttpClientTransport::with_client(Http::new(), config);
                client.serve(transport).await.map_err(|error| error.to_string())
            }
        }
    }
}

/// What a model can read of a result.
fn text(result: &CallToolResult) -> String {
    let blocks: Vec<&str> = result.content.iter().map(block).collect();
    match (&result.structured_content, blocks.is_empty()) {
        (Some(value), true) => value.to_string(),
        _ => blocks.join("\n"),
    }
}

fn block(block: &ContentBlock) -> &str {
    match block {
        ContentBlock::Text(text) => &text.text,
        ContentBlock::Image(_) => "[an image]",
        ContentBlock::Audio(_) => "[a sound]",
        ContentBlock::Resource(resource) => match &resource.resource {
            ResourceContents::TextResourceContents { text, .. } => text,
            _ => "[a file]",
        },
        ContentBlock::ResourceLink(resource) => &resource.uri,
        _ => "[something else]",
    }
}
