//! Files of published models: which a repository has, and how they come into the cache that other tools share
//! (`models--owner--name/{blobs,snapshots,refs}`). Knows repositories and files; what is in them, and which of them make
//! a checkpoint, it does not know.

mod download;
pub mod error;
pub mod id;
mod listing;

use crate::hub::error::Error;
use crate::hub::id::Id;
use crate::hub::listing::Listing;
use hf_hub::Cache;
use hf_hub::Repo;
use hf_hub::RepoType;
use hf_hub::api::sync::Api;
use hf_hub::api::sync::ApiBuilder;
use hf_hub::api::sync::ApiError;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

/// Where files come from and where they go.
#[derive(Clone)]
pub struct Config {
    /// The hub, such as `https://huggingface.co`.
    pub endpoint: String,
    /// The folder with one folder for each repository.
    pub cache: PathBuf,
    /// What opens private and gated repositories.
    pub token: Option<String>,
    /// Whether to ask the hub at all.
    pub access: Access,
    /// The wait before a download that broke off is tried again.
    pub pause: Duration,
}

/// Whether the hub may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Yes; where it cannot be reached, the cache has to do.
    Online,
    /// No: what is not in the cache is not there.
    Offline,
}

/// A hub and its cache.
pub struct Hub {
    config: Config,
    api: Api,
}

/// One commit of a repository: the names of all its files, of which some may have to be fetched yet.
pub struct Snapshot<'a> {
    hub: &'a Hub,
    id: Id,
    listing: Listing,
}

impl std::fmt::Debug for Config {
    /// All but the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { endpoint, cache, access, .. } = self;
        write!(f, "hub {endpoint}, {access:?}, cache {}", cache.display())
    }
}

impl Hub {
    /// Asks for nothing yet.
    pub fn new(config: Config) -> Result<Self, Error> {
        let api = ApiBuilder::from_cache(Cache::new(config.cache.clone()))
            .with_endpoint(config.endpoint.clone())
            .with_token(config.token.clone())
            .with_user_agent("coconut", env!("CARGO_PKG_VERSION"))
            .build()
            .map_err(|error| failed(&config, &config.endpoint, &error.to_string()))?;
        Ok(Self { config, api })
    }

    /// What the revision has at present, or what the cache knows of it where the hub does not answer.
    pub fn snapshot(&self, id: &Id) -> Result<Snapshot<'_>, Error> {
        let listing = match self.config.access {
            Access::Online => self.listing(id)?,
            Access::Offline => self.cached(id).ok_or_else(|| self.offline(&id.to_string()))?,
        };
        Ok(Snapshot { hub: self, id: id.clone(), listing })
    }

    fn listing(&self, id: &Id) -> Result<Listing, Error> {
        let error = match self.ask(id) {
            Ok(listing) => return Ok(listing),
            Err(error) => error,
        };
        let cached = match error {
            Error::Unreachable { .. } | Error::Failed { .. } => self.cached(id),
            _ => None,
        };
        match cached {
            Some(listing) => {
                tracing::warn!(%error, commit = listing.commit, "using the cache");
                Ok(listing)
            }
            None => Err(error),
        }
    }

    /// The error for what a request came to. `asked` is the repository or file.
    fn error(&self, asked: &str, error: &ApiError) -> Error {
        let (asked, endpoint) = (asked.to_owned(), self.config.endpoint.clone());
        match status(error) {
            Some(status @ (401 | 403)) => Error::Denied { asked, status },
            Some(404) => Error::NotFound { asked, endpoint },
            Some(status) => failed(&self.config, &asked, &format!("it answered {status}")),
            None => match error {
                ApiError::RequestError(_) | ApiError::TooManyRetries(_) => {
                    let (reason, cache) = (error.to_string(), self.config.cache.clone());
                    Error::Unreachable { asked, endpoint, reason, cache }
                }
                ApiError::IoError(source) => {
                    let reason = std::io::Error::new(source.kind(), source.to_string());
                    Error::Cache { path: self.config.cache.clone(), reason }
                }
                other => failed(&self.config, &asked, &other.to_string()),
            },
        }
    }

    fn offline(&self, asked: &str) -> Error {
        Error::Offline { asked: asked.to_owned(), cache: self.config.cache.clone() }
    }

    fn cache(&self) -> Cache {
        Cache::new(self.config.cache.clone())
    }

    /// The folder of a repository in the cache.
    fn folder(&self, id: &Id) -> PathBuf {
        self.config.cache.join(repo(id, &id.revision).folder_name())
    }
}

impl Snapshot<'_> {
    /// The names of all files, such as `config.json` or `folder/checkpoint_3`.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.listing.files.iter().map(|file| file.name.as_str())
    }

    /// Whether this is what the cache has, and not what the hub has.
    pub fn is_cached(&self) -> bool {
        self.listing.cached
    }

    /// Whether a file is there and not empty.
    pub fn has(&self, name: &str) -> bool {
        self.listing.files.iter().any(|file| file.name == name && file.size != Some(0))
    }

    /// Brings files into the cache, unless they are there, and gives the folder in which all of them lie under their
    /// names. Empty files are left out.
    pub fn fetch<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Result<PathBuf, Error> {
        for name in names {
            match self.listing.files.iter().find(|file| file.name == name) {
                Some(file) if file.size != Some(0) => self.fetch_one(file)?,
                Some(_) => tracing::debug!(name, "empty, not fetched"),
                None => return Err(self.absent(name)),
            }
        }
        if !self.listing.cached {
            self.remember()?;
        }
        Ok(self.folder())
    }

    fn folder(&self) -> PathBuf {
        self.hub.folder(&self.id).join("snapshots").join(&self.listing.commit)
    }

    /// Notes which commit the revision is, now that its files are here: what is half done is never found offline.
    fn remember(&self) -> Result<(), Error> {
        let repo = self.hub.cache().repo(repo(&self.id, &self.id.revision));
        let path = self.hub.folder(&self.id).join("refs").join(&self.id.revision);
        repo.create_ref(&self.listing.commit).map_err(|reason| Error::Cache { path, reason })
    }

    fn absent(&self, name: &str) -> Error {
        let asked = format!("{name} of {}", self.id);
        match self.listing.cached {
            true => self.hub.offline(&asked),
            false => Error::NotFound { asked, endpoint: self.hub.config.endpoint.clone() },
        }
    }
}

fn repo(id: &Id, revision: &str) -> Repo {
    Repo::with_revision(id.repository.clone(), RepoType::Model, revision.to_owned())
}

/// The status of an answer that was not a good one.
fn status(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::RequestError(error) => match **error {
            ureq::Error::StatusCode(status) => Some(status),
            _ => None,
        },
        ApiError::TooManyRetries(error) => status(error),
        _ => None,
    }
}

fn failed(config: &Config, asked: &str, reason: &str) -> Error {
    let (asked, endpoint, reason) = (asked.to_owned(), config.endpoint.clone(), reason.to_owned());
    Error::Failed { asked, endpoint, reason }
}

/// The length of a file, through links; `None` where there is none.
fn length(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|file| file.len())
}
