//! The tools that an operator allowed, and how a call of one is run: away from the threads that answer, not beyond its
//! deadline, with a bounded answer. A failing tool is an observation. Knows no text around a call and no request.

use crate::tools::calculator::Calculator;
use crate::tools::call::Call;
use crate::tools::call::Declaration;
use crate::tools::call::Observation;
use crate::tools::facts::Facts;
use crate::tools::fetch::Fetch;
use crate::tools::lookup::Lookup;
use crate::tools::tool::Given;
use crate::tools::tool::Tool;
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout_at;

/// Characters of an observation. More is of no use to a model, and every one of them takes a position.
const MAX_TEXT: usize = 4000;

/// Calls of one source at the same time. One that was cut keeps its place until it ends, so that they do not pile up.
const MAX_AT_ONCE: usize = 32;

/// What `--tools` may say.
const KNOWN: &str = "calculator, graph, lookup=FOLDER, http=HOST[:PORT], mcp=COMMAND, mcp=URL";

/// What an entry for a server begins with.
const MCP: &str = "mcp=";

/// Tools that may be called.
#[derive(Clone, Default)]
pub struct ToolSet {
    /// In the order in which they were allowed.
    actions: Vec<Action>,
}

/// One tool, and whose it is.
#[derive(Clone)]
struct Action {
    declaration: Declaration,
    source: Arc<Source>,
}

/// What was allowed by one name: it may have several tools.
struct Source {
    name: String,
    tool: Box<dyn Tool>,
    places: Arc<Semaphore>,
}

/// Why tools are not to be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An operator's mistake, at the start.
    #[error("--tools {given}: {reason}")]
    Setting {
        /// What was given.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A request wants what is not allowed here.
    #[error("the tool {name:?} is not among those of this server: {allowed}")]
    Unknown {
        /// What it wants.
        name: String,
        /// What there is.
        allowed: String,
    },
}

impl ToolSet {
    /// All tools that `--tools` names: those of [`Self::parse`], then those of servers, `mcp=COMMAND` or `mcp=URL`, which are
    /// started or asked here.
    ///
    /// # Errors
    /// If an entry names no tool, or cannot have what it wants.
    pub async fn open(entries: Vec<String>) -> Result<Self, Error> {
        let (servers, own): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| entry.starts_with(MCP));
        // Documents are read.
        let parsing = spawn_blocking(move || Self::parse(&own)).await;
        let mut set = parsing.expect("reading a setting does not panic")?;
        for entry in servers {
            let opened = server(entry.trim_start_matches(MCP)).await;
            let tool = opened.map_err(|reason| Error::Setting { given: entry, reason })?;
            set.add("mcp", tool);
        }
        Ok(set)
    }

    /// The tools of this program that `--tools` names, an entry each: `calculator`, `graph`, `lookup=FOLDER`, `http=HOST[:PORT]`, which may
    /// stand there for several hosts. Documents are read here.
    ///
    /// # Errors
    /// If an entry names no tool, or cannot have what it wants.
    pub fn parse(entries: &[String]) -> Result<Self, Error> {
        let mut set = Self::default();
        let hosts: Vec<&str> = entries.iter().filter_map(|e| e.strip_prefix("http=")).collect();
        let (mut seen, mut has_fetch) = (BTreeSet::new(), false);
        for entry in entries {
            let setting = |reason: String| Error::Setting { given: entry.clone(), reason };
            let (name, value) = match entry.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (entry.as_str(), None),
            };
            let is_repeated = !seen.insert(if name == "http" { entry } else { name });
            if is_repeated {
                return Err(setting("it is named twice".to_owned()));
            }
            let tool: Box<dyn Tool> = match (name, value) {
                ("calculator", None) => Box::new(Calculator),
                ("graph", None) => Box::new(Facts),
                ("lookup", Some(folder)) => {
                    Box::new(Lookup::open(Path::new(folder)).map_err(setting)?)
                }
                ("http", Some(_)) if has_fetch => continue,
                ("http", Some(_)) => {
                    has_fetch = true;
                    Box::new(Fetch::from_hosts(&hosts).map_err(setting)?)
                }
                ("calculator" | "graph", Some(_)) => {
                    return Err(setting(format!("{name} takes no value")));
                }
                ("lookup" | "http", None) => {
                    return Err(setting(format!("{name} needs a value; there are {KNOWN}")));
                }
                _ => return Err(setting(format!("there is no such tool; there are {KNOWN}"))),
            };
            set.add(name, tool);
        }
        Ok(set)
    }

    /// One more source of tools. Where two tools have one name, it is the first one's.
    pub fn add(&mut self, name: &str, tool: Box<dyn Tool>) {
        let declarations = tool.declarations();
        let places = Arc::new(Semaphore::new(MAX_AT_ONCE));
        let source = Arc::new(Source { name: name.to_owned(), tool, places });
        for declaration in declarations {
            let is_taken =
                self.actions.iter().any(|known| known.declaration.name == declaration.name);
            if !is_taken {
                self.actions.push(Action { declaration, source: Arc::clone(&source) });
            }
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty()
    }

    /// What may be called.
    pub fn declarations(&self) -> impl Iterator<Item = &Declaration> {
        self.actions.iter().map(|action| &action.declaration)
    }

    /// Only those of these names: of tools, or of what `--tools` calls several of them together.
    ///
    /// # Errors
    /// If a name is none of these: a request gets no tool that the operator did not allow.
    pub fn narrowed(&self, names: &[String]) -> Result<Self, Error> {
        let is_meant = |action: &Action, name: &String| {
            action.source.name == *name || action.declaration.name == *name
        };
        for name in names {
            if !self.actions.iter().any(|action| is_meant(action, name)) {
                return Err(Error::Unknown { name: name.clone(), allowed: self.names() });
            }
        }
        let is_wanted = |action: &&Action| names.iter().any(|name| is_meant(action, name));
        Ok(Self { actions: self.actions.iter().filter(is_wanted).cloned().collect() })
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.declarations().map(|known| known.name.as_str()).collect();
        if names.is_empty() { "there are none".to_owned() } else { names.join(", ") }
    }

    /// What a call observes. What the tool remembers goes into `given`, unless it was cut at the deadline.
    pub async fn run(&self, call: &Call, given: &mut Given, deadline: Instant) -> Observation {
        let Some(action) = self.find(&call.name) else {
            let (name, names) = (&call.name, self.names());
            let reason = match self.actions.is_empty() {
                true => format!("there is no {name}: there are no tools"),
                false => format!("there is no {name}; there are {names}"),
            };
            return bounded(Observation::invalid(&reason));
        };
        let name = action.declaration.name.clone();
        let call = Call { name: name.clone(), argument: call.argument.clone() };
        let source = Arc::clone(&action.source);
        let late = || Observation::failed(format!("{name} took too long, and was cut off"));
        let place = Arc::clone(&source.places).acquire_owned();
        let Ok(place) = timeout_at(deadline.into(), place).await else { return late() };
        let mut copy = given.clone();
        let running = spawn_blocking(move || {
            // Taken along: a call that outlives its deadline keeps its place.
            let _place = place;
            let result = source.tool.run(&call, &mut copy, deadline);
            (result, copy)
        });
        let Ok(ended) = timeout_at(deadline.into(), running).await else { return late() };
        bounded(match ended {
            Ok((Ok(text), remembered)) => {
                *given = remembered;
                Observation::found(text)
            }
            Ok((Err(reason), _)) => Observation::failed(format!("{name} failed: {reason}")),
            Err(_panic) => Observation::failed(format!("{name} failed")),
        })
    }

    /// By its name; where none is written like this, in whatever letters: models write `Search` for `search`.
    fn find(&self, name: &str) -> Option<&Action> {
        let exact = self.actions.iter().find(|action| action.declaration.name == name);
        let alike = || {
            self.actions.iter().find(|action| action.declaration.name.eq_ignore_ascii_case(name))
        };
        exact.or_else(alike)
    }
}

impl fmt::Debug for ToolSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.declarations().map(|known| &known.name)).finish()
    }
}

#[cfg(feature = "mcp")]
async fn server(target: &str) -> Result<Box<dyn Tool>, String> {
    Ok(Box::new(crate::tools::mcp::Mcp::open(target).await?))
}

#[cfg(not(feature = "mcp"))]
async fn server(_: &str) -> Result<Box<dyn Tool>, String> {
    Err("this program was built without MCP; build it with `--features mcp`".to_owned())
}

/// Cut where it is too long, and said so.
fn bounded(mut observation: Observation) -> Observation {
    if let Some((at, _)) = observation.text.char_indices().nth(MAX_TEXT) {
        observation.text.truncate(at);
        observation.text.push_str(&format!(" [cut at {MAX_TEXT} characters]"));
    }
    observation
}
