//! Files of published models: which a repository has, and how they come into the cache that other tools share. Knows
//! repositories and files; what is in them, and which of them make a checkpoint, it does not know.
//!
//! ```
//! use coconut::hub::Hub;
//! use coconut::hub::config::Access;
//! use coconut::hub::config::Config;
//! use coconut::hub::config::Token;
//! use coconut::hub::config::Waits;
//! use coconut::hub::id::Id;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let id = Id::parse("owner/model").ok_or("this is an id, and ./model is a path")?;
//!
//! // A cache as other tools leave it, and no network.
//! let cache = tempfile::tempdir()?;
//! # let commit = "0123456789abcdef0123456789abcdef01234567";
//! # let folder = cache.path().join("models--owner--model");
//! # std::fs::create_dir_all(folder.join("refs"))?;
//! # std::fs::write(folder.join("refs/main"), commit)?;
//! # std::fs::create_dir_all(folder.join("snapshots").join(commit))?;
//! # std::fs::write(folder.join("snapshots").join(commit).join("config.json"), "{}")?;
//! let hub = Hub::new(&Config {
//!     endpoint: "https://huggingface.co".to_owned(),
//!     cache: cache.path().to_owned(),
//!     token: Token::Absent,
//!     access: Access::Offline,
//!     waits: Waits::default(),
//! })?;
//! let snapshot = hub.snapshot(&id)?;
//! assert!(snapshot.is_cached() && snapshot.has("config.json"));
//! assert!(snapshot.fetch(["config.json"])?.join("config.json").is_file());
//! # Ok(())
//! # }
//! ```

mod cache;
mod client;
pub mod config;
mod download;
pub mod error;
pub mod id;
mod listing;

use crate::hub::cache::Folder;
use crate::hub::client::Client;
use crate::hub::config::Access;
use crate::hub::config::Config;
use crate::hub::download::Source;
use crate::hub::error::Error;
use crate::hub::id::Id;
use crate::hub::listing::Listing;
use std::path::PathBuf;

/// A hub and its cache.
pub struct Hub {
    client: Client,
    cache: PathBuf,
    access: Access,
}

/// One commit of a repository: the names of all its files, of which some may have to be fetched yet.
pub struct Snapshot<'a> {
    hub: &'a Hub,
    id: Id,
    folder: Folder,
    listing: Listing,
}

impl Hub {
    /// Asks for nothing yet.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let client = Client::new(config)?;
        Ok(Self { client, cache: config.cache.clone(), access: config.access })
    }

    /// What the revision has at present, or what the cache knows of it where the hub does not answer.
    pub fn snapshot(&self, id: &Id) -> Result<Snapshot<'_>, Error> {
        let folder = Folder::of(&self.cache, id);
        let listing = match self.access {
            Access::Online => self.listing(id, &folder)?,
            Access::Offline => Listing::cached(&folder, &id.revision)
                .ok_or_else(|| self.offline(&id.to_string()))?,
        };
        Ok(Snapshot { hub: self, id: id.clone(), folder, listing })
    }

    fn listing(&self, id: &Id, folder: &Folder) -> Result<Listing, Error> {
        let error = match Listing::ask(&self.client, id) {
            Ok(listing) => return Ok(listing),
            Err(error) => error,
        };
        let cached = match error {
            Error::Unreachable { .. } | Error::Failed { .. } => {
                Listing::cached(folder, &id.revision)
            }
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

    fn offline(&self, asked: &str) -> Error {
        Error::Offline { asked: asked.to_owned(), cache: self.cache.clone() }
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
        let (commit, cached) = (self.listing.commit.as_str(), self.listing.cached);
        let source =
            Source { client: &self.hub.client, folder: &self.folder, id: &self.id, commit };
        for name in names {
            match self.listing.files.iter().find(|file| file.name == name) {
                Some(file) if file.size == Some(0) => tracing::debug!(name, "empty, not fetched"),
                // It is from the cache, so it is there.
                Some(_) if cached => {}
                Some(file) => source.fetch(file)?,
                None => return Err(self.absent(name)),
            }
        }
        // Only now that its files are here: what is half done is never found offline.
        if !cached {
            self.folder.note(&self.id.revision, commit)?;
        }
        Ok(self.folder.snapshot(commit))
    }

    fn absent(&self, name: &str) -> Error {
        let asked = format!("{name} of {}", self.id);
        match self.listing.cached {
            true => self.hub.offline(&asked),
            false => Error::NotFound { asked, endpoint: self.hub.client.name() },
        }
    }
}
