//! Where files come from and where they go, as the command line says it. Knows no request.

use crate::files;
use std::io::ErrorKind;
use std::io::Result;
use std::path::PathBuf;
use std::time::Duration;

/// The settings of a hub.
#[derive(Clone)]
pub struct Config {
    /// The hub, such as `https://huggingface.co`.
    pub endpoint: String,
    /// The folder with one folder for each repository.
    pub cache: PathBuf,
    /// What opens private and gated repositories. Only the endpoint's own host is told.
    pub token: Token,
    /// Whether to ask the hub at all.
    pub access: Access,
    /// How long things may take.
    pub waits: Waits,
}

/// A token, or where it is.
#[derive(Clone)]
pub enum Token {
    /// There is none.
    Absent,
    /// This, without what editors and shells put around it.
    Given(String),
    /// What is in a file, which somebody named.
    Named(PathBuf),
    /// What is in the usual file, if it is there.
    Usual(PathBuf),
}

impl Token {
    /// One that is given as it stands; none where nothing is left of it.
    pub fn given(text: &str) -> Option<Self> {
        cleaned(text).map(Self::Given)
    }

    /// The token, as `huggingface_hub` reads it: what is empty or absent is none.
    ///
    /// # Errors
    /// If its file is there and cannot be read.
    pub fn read(&self) -> Result<Option<String>> {
        let path = match self {
            Self::Absent => return Ok(None),
            Self::Given(token) => return Ok(Some(token.clone())),
            Self::Named(path) | Self::Usual(path) => path,
        };
        match files::read(path) {
            Ok(text) => Ok(cleaned(&text)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if let Self::Named(path) = self {
                    tracing::warn!(path = %path.display(), "the token's file is not there");
                }
                Ok(None)
            }
            Err(error) => Err(std::io::Error::new(
                error.kind(),
                format!("cannot read {}: {error}", path.display()),
            )),
        }
    }
}

/// A token without what editors and shells put around it.
fn cleaned(text: &str) -> Option<String> {
    let text = text.replace(['\r', '\n', '\u{feff}'], "");
    Some(text.trim().to_owned()).filter(|token| !token.is_empty())
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(not shown)")
    }
}

/// Whether the hub may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Yes; where it cannot be reached, the cache has to do.
    Online,
    /// No: what is not in the cache is not there.
    Offline,
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    /// A small answer, redirects included. An orchestrator that starts a server without a network should not have to
    /// wait longer for the cache to be used.
    pub answer: Duration,
    /// Silence in a download, from its connection to its last byte.
    pub silence: Duration,
    /// Before a download that broke off is tried again.
    pub pause: Duration,
    /// For another process that downloads the same file and gets no further.
    pub other: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(15),
            silence: Duration::from_secs(30),
            pause: Duration::from_secs(1),
            other: Duration::from_secs(300),
        }
    }
}

impl std::fmt::Debug for Config {
    /// All but the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { endpoint, cache, access, .. } = self;
        write!(f, "hub {endpoint}, {access:?}, cache {}", cache.display())
    }
}
