//! What can go wrong between an id and its files, by what the caller can do about it.

use std::path::PathBuf;

/// Why files of a repository are not here.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The hub does not show it to us.
    #[error(
        "{asked}: {by} answered {status}: it does not exist, or it is private or gated. For private and gated models set HF_TOKEN to a token with access, after accepting the model's conditions on its page"
    )]
    Denied {
        /// Repository or file.
        asked: String,
        /// Whose answer it is.
        by: String,
        /// 401 or 403.
        status: u16,
    },
    /// There is no such repository, revision or file.
    #[error("{asked}: not on the hub {endpoint} (404)")]
    NotFound {
        /// Repository, revision or file.
        asked: String,
        /// Where it was looked for.
        endpoint: String,
    },
    /// The hub answered with something else than what was asked for.
    #[error("{asked}: the hub {endpoint} failed: {reason}")]
    Failed {
        /// Repository or file.
        asked: String,
        /// The hub.
        endpoint: String,
        /// Its answer.
        reason: String,
    },
    /// There is no connection to the hub, and the cache does not have it.
    #[error(
        "{asked}: the hub {endpoint} cannot be reached ({reason}), and {cache} does not have it",
        cache = cache.display()
    )]
    Unreachable {
        /// Repository or file.
        asked: String,
        /// The hub.
        endpoint: String,
        /// Why.
        reason: String,
        /// The cache.
        cache: PathBuf,
    },
    /// Offline, and the cache does not have it.
    #[error("{asked}: not in {cache}, and it is not asked for because of --offline or HF_HUB_OFFLINE", cache = cache.display())]
    Offline {
        /// Repository or file.
        asked: String,
        /// The cache.
        cache: PathBuf,
    },
    /// The connection ended early, again and again.
    #[error(
        "{asked}: only {got} of {size} bytes arrived. The next start goes on from there ({reason})"
    )]
    Truncated {
        /// The file.
        asked: String,
        /// What is here.
        got: u64,
        /// What the hub says.
        size: u64,
        /// How the last attempt ended.
        reason: String,
    },
    /// All bytes arrived, and they are not those that were published.
    #[error(
        "{asked}: what arrived has SHA-256 {got}, published is {published}; it was thrown away"
    )]
    Damaged {
        /// The file.
        asked: String,
        /// Of what arrived.
        got: String,
        /// Of what was published.
        published: String,
    },
    /// Another process holds the file, and nothing of it arrives.
    #[error(
        "{asked}: another process has been downloading it, and nothing arrived for {seconds} s. If there is none, remove {lock}",
        lock = lock.display()
    )]
    Held {
        /// The file.
        asked: String,
        /// How long was waited.
        seconds: u64,
        /// What the other process holds.
        lock: PathBuf,
    },
    /// A setting cannot be used.
    #[error("{setting}: {reason}")]
    Setting {
        /// The variable and the flag.
        setting: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The cache cannot be written or read.
    #[error("{path}: {reason}. HF_HOME names a folder for the cache that can be written", path = path.display())]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// Why. Not called a source, which would be printed twice.
        reason: std::io::Error,
    },
}
