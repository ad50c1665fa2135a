//! The cache that other tools share, as `huggingface_hub` lays it out: contents in `blobs`
//! by their hash, names in `snapshots` as links to them, `.incomplete` beginnings, locks. Knows no network.

use crate::files;
use crate::hub::error::Error;
use crate::hub::id::Id;
use std::fs::File;
use std::fs::TryLockError;
use std::io::ErrorKind;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

/// A repository's place in the cache.
#[derive(Debug)]
pub(super) struct Folder {
    folder: PathBuf,
    locks: PathBuf,
}

/// Where one content is, or will be.
#[derive(Debug)]
pub(super) struct Content {
    /// All of it.
    pub(super) blob: PathBuf,
    /// As far as it has come.
    pub(super) incomplete: PathBuf,
    /// Held by whoever writes either.
    pub(super) lock: PathBuf,
    /// Its name in `blobs`.
    hash: String,
}

impl Folder {
    /// The place of a repository; it need not be there.
    pub(super) fn of(cache: &Path, id: &Id) -> Self {
        let name = format!("models--{}", id.repository.replace('/', "--"));
        Self { folder: cache.join(&name), locks: cache.join(".locks").join(name) }
    }

    /// The files of a commit, under their names.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// The content with this hash, which must be a plain name.
    pub(super) fn content(&self, hash: &str) -> Content {
        let blob = self.folder.join("blobs").join(hash);
        Content {
            incomplete: blob.with_file_name(format!("{hash}.incomplete")),
            lock: self.locks.join(format!("{hash}.lock")),
            hash: hash.to_owned(),
            blob,
        }
    }

    /// The commit that a revision was when it was last asked for.
    pub(super) fn noted(&self, revision: &str) -> Option<String> {
        let noted = files::read(&self.folder.join("refs").join(revision)).ok()?;
        Some(noted.trim().to_owned())
    }

    /// Notes which commit a revision is.
    pub(super) fn note(&self, revision: &str, commit: &str) -> Result<(), Error> {
        // A cache that holds everything may be one that cannot be written.
        if self.noted(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.folder.join("refs").join(revision);
        make_parent(&path)?;
        std::fs::write(&path, commit).map_err(|reason| Error::Cache { path, reason })
    }
}

impl Content {
    /// Holds it for this process; `None` where another one does. Given back by drop.
    pub(super) fn hold(&self) -> Result<Option<File>, Error> {
        let io = |reason| Error::Cache { path: self.lock.clone(), reason };
        make_parent(&self.lock)?;
        let file = File::options().create(true).append(true).open(&self.lock).map_err(io)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            // Some network file systems have no locks; without one, all that is lost is that two may download.
            Err(TryLockError::Error(reason)) if reason.kind() == ErrorKind::Unsupported => {
                tracing::warn!(path = %self.lock.display(), "no locks here; let no two processes download at once");
                Ok(Some(file))
            }
            Err(TryLockError::Error(reason)) => Err(io(reason)),
        }
    }

    /// Gives it a name in a snapshot, `depth` folders below `snapshots/<commit>`.
    pub(super) fn link(&self, pointer: &Path, depth: usize) -> Result<(), Error> {
        remove(pointer)?;
        make_parent(pointer)?;
        let target = format!("{}blobs/{}", "../".repeat(depth + 2), self.hash);
        match std::os::unix::fs::symlink(target, pointer) {
            // Another process was faster; names lead to contents by their hash, so it is the same link.
            Err(reason) if reason.kind() != ErrorKind::AlreadyExists => {
                Err(Error::Cache { path: pointer.to_owned(), reason })
            }
            _ => Ok(()),
        }
    }

    /// Content of the wrong length under its final name: too little is a beginning, too much is nothing.
    pub(super) fn demote(&self, size: u64) -> Result<(), Error> {
        match length(&self.blob) {
            None => Ok(()),
            Some(got) if got < size => rename(&self.blob, &self.incomplete),
            Some(_) => remove(&self.blob),
        }
    }

    /// All of it is here.
    pub(super) fn complete(&self) -> Result<(), Error> {
        rename(&self.incomplete, &self.blob)
    }
}

/// Whether what the hub calls a hash is the name of a file.
pub(super) fn is_hash(name: &str) -> bool {
    is_plain(name) && !name.contains('/')
}

/// Whether a name from the hub stays within its folder.
pub(super) fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    !name.is_empty() && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// The length of a file, through links; `None` where there is none.
pub(super) fn length(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|file| file.len())
}

/// Afterwards there is no such file.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(reason) if reason.kind() != ErrorKind::NotFound => {
            Err(Error::Cache { path: path.to_owned(), reason })
        }
        _ => Ok(()),
    }
}

/// Makes the folder that a file is to lie in.
pub(super) fn make_parent(path: &Path) -> Result<(), Error> {
    let Some(parent) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(parent)
        .map_err(|reason| Error::Cache { path: parent.to_owned(), reason })
}

fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    std::fs::rename(from, to).map_err(|reason| Error::Cache { path: to.to_owned(), reason })
}
