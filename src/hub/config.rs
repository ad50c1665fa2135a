//! Where files come from and where they go, as the command line says it. Knows no request.

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
    pub token: Option<String>,
    /// Whether to ask the hub at all.
    pub access: Access,
    /// How long things may take.
    pub waits: Waits,
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
