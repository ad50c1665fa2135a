//! One file of a snapshot into the cache. The client asks and writes; here its result is doubted: where an answer does not
//! say how long it is, it takes a connection that ended early for the end of the file, and it takes a full answer to a
//! request for the rest for the rest.

use crate::hub::Snapshot;
use crate::hub::error::Error;
use crate::hub::failed;
use crate::hub::length;
use crate::hub::listing::File;
use crate::hub::listing::is_plain;
use crate::hub::repo;
use crate::hub::status;
use hf_hub::api::Progress;
use hf_hub::api::sync::ApiError;
use hf_hub::api::sync::ApiRepo;
use indicatif::ProgressBar;
use indicatif::ProgressStyle;
use sha2::Digest as _;
use sha2::Sha256;
use std::path::Path;
use std::path::PathBuf;

/// A download that brought nothing new so many times is given up.
const ATTEMPTS: usize = 4;

/// The status for a range that the file does not have: that of an empty file, or of one that is here completely.
const RANGE_NOT_SATISFIABLE: u16 = 416;

/// A file on its way.
struct Wanted<'a> {
    /// As messages name it.
    asked: String,
    name: &'a str,
    size: u64,
    sha256: Option<&'a str>,
    /// The name in the snapshot, a link to the content.
    pointer: PathBuf,
    /// The content.
    blob: PathBuf,
    /// The content as far as it has come.
    part: PathBuf,
}

/// How an attempt ended that did not bring the whole file.
enum Attempt {
    Whole,
    Short(String),
    /// Somebody else is at it.
    Busy,
}

impl Snapshot<'_> {
    /// Makes sure that a file is in the cache with all its bytes.
    pub(super) fn fetch_one(&self, file: &File) -> Result<(), Error> {
        let pointer = self.folder().join(&file.name);
        if length(&pointer).is_some_and(|here| file.size.is_none_or(|size| size == here)) {
            return Ok(());
        }
        let asked = format!("{} of {}", file.name, self.id);
        if self.listing.cached {
            return Err(self.hub.offline(&asked));
        }
        let repo = self.hub.api.repo(repo(&self.id, &self.listing.commit));
        let Some((etag, size)) = self.metadata(&repo, &asked, file)? else { return Ok(()) };
        let blob = self.hub.folder(&self.id).join("blobs").join(&etag);
        let part = blob.with_extension("part");
        let sha256 = file.sha256.as_deref();
        let wanted = Wanted { asked, name: &file.name, size, sha256, pointer, blob, part };
        // Whatever it is, it is not the whole file; the client would leave it as it is.
        remove(&wanted.pointer)?;
        if length(&wanted.blob) == Some(size) {
            return wanted.link(&etag);
        }
        wanted.make_partial()?;
        self.download(&repo, &wanted)?;
        wanted.verify()
    }

    /// The name of the content in the cache and its length; `None` for an empty file, of which there is no first byte.
    fn metadata(
        &self,
        repo: &ApiRepo,
        asked: &str,
        file: &File,
    ) -> Result<Option<(String, u64)>, Error> {
        let metadata = match self.hub.api.metadata(&repo.url(&file.name)) {
            Ok(metadata) => metadata,
            Err(error) if status(&error) == Some(RANGE_NOT_SATISFIABLE) => return Ok(None),
            Err(error) => return Err(self.hub.error(asked, &error)),
        };
        let etag = metadata.etag().to_owned();
        if !is_plain(&etag) {
            return Err(failed(&self.hub.config, asked, "its etag is no name for a file"));
        }
        Ok(Some((etag, file.size.unwrap_or(metadata.size() as u64))))
    }

    /// Downloads until nothing is missing, going on where the last attempt ended.
    fn download(&self, repo: &ApiRepo, wanted: &Wanted<'_>) -> Result<(), Error> {
        let (mut most, mut fruitless) = (length(&wanted.part).unwrap_or(0), 0);
        loop {
            let reason = match self.attempt(repo, wanted)? {
                Attempt::Whole => return Ok(()),
                Attempt::Busy => {
                    tracing::info!(file = wanted.name, "waiting: another process downloads it");
                    continue;
                }
                Attempt::Short(reason) => reason,
            };
            if length(&wanted.part).is_some_and(|got| got > wanted.size) {
                remove(&wanted.part)?;
            }
            let got = length(&wanted.part).unwrap_or(0);
            fruitless = if got > most { 0 } else { fruitless + 1 };
            most = most.max(got);
            if fruitless == ATTEMPTS {
                let (asked, size) = (wanted.asked.clone(), wanted.size);
                return Err(Error::Truncated { asked, got, size, reason });
            }
            tracing::warn!(
                file = wanted.name,
                got,
                of = wanted.size,
                reason,
                "broken off, going on"
            );
            std::thread::sleep(self.hub.config.pause);
        }
    }

    fn attempt(&self, repo: &ApiRepo, wanted: &Wanted<'_>) -> Result<Attempt, Error> {
        tracing::info!(file = wanted.name, bytes = wanted.size, from = %self.id, "downloading");
        match repo.download_with_progress(wanted.name, Bar(ProgressBar::hidden())) {
            Ok(_) => match length(&wanted.blob) {
                Some(got) if got == wanted.size => Ok(Attempt::Whole),
                _ => {
                    remove(&wanted.pointer)?;
                    wanted.make_partial()?;
                    Ok(Attempt::Short("the connection ended early".to_owned()))
                }
            },
            Err(ApiError::LockAcquisition(_)) => Ok(Attempt::Busy),
            // What is here already is as long as the file, or longer: not a beginning of it.
            Err(ApiError::InvalidResume) => {
                remove(&wanted.part)?;
                Ok(Attempt::Short("what was here is too long".to_owned()))
            }
            Err(error) => match status(&error) {
                Some(RANGE_NOT_SATISFIABLE) => {
                    remove(&wanted.part)?;
                    Ok(Attempt::Short("what was here is too long".to_owned()))
                }
                Some(500..) => Ok(Attempt::Short(error.to_string())),
                None if is_transport(&error) => Ok(Attempt::Short(error.to_string())),
                _ => Err(self.hub.error(&wanted.asked, &error)),
            },
        }
    }
}

impl Wanted<'_> {
    /// The content came with an earlier commit: only the name is new.
    fn link(&self, etag: &str) -> Result<(), Error> {
        let up = "../".repeat(self.name.split('/').count() + 1);
        let io = |reason| Error::Cache { path: self.pointer.clone(), reason };
        if let Some(parent) = self.pointer.parent() {
            std::fs::create_dir_all(parent).map_err(io)?;
        }
        std::os::unix::fs::symlink(format!("{up}blobs/{etag}"), &self.pointer).map_err(io)
    }

    /// Content of the wrong length under its final name: too little is a beginning, too much is nothing.
    fn make_partial(&self) -> Result<(), Error> {
        match length(&self.blob) {
            None => Ok(()),
            Some(got) if got < self.size => {
                std::fs::rename(&self.blob, &self.part).map_err(|reason| {
                    let path = self.part.clone();
                    Error::Cache { path, reason }
                })
            }
            Some(_) => remove(&self.blob),
        }
    }

    /// Pieces of several attempts were put together: they must be the file that was published.
    fn verify(&self) -> Result<(), Error> {
        let Some(published) = self.sha256 else { return Ok(()) };
        let got = sha256(&self.blob)
            .map_err(|reason| Error::Cache { path: self.blob.clone(), reason })?;
        if got.eq_ignore_ascii_case(published) {
            return Ok(());
        }
        remove(&self.pointer)?;
        remove(&self.blob)?;
        Err(Error::Damaged { asked: self.asked.clone(), got, published: published.to_owned() })
    }
}

/// Whether trying again may help: the connection failed, and not the disk.
fn is_transport(error: &ApiError) -> bool {
    match error {
        ApiError::RequestError(_) => true,
        // Reading the body and writing the file give the same kind of error; a full disk stays full.
        ApiError::IoError(error) => !matches!(
            error.kind(),
            std::io::ErrorKind::StorageFull
                | std::io::ErrorKind::QuotaExceeded
                | std::io::ErrorKind::PermissionDenied
                | std::io::ErrorKind::ReadOnlyFilesystem
                | std::io::ErrorKind::NotFound
        ),
        _ => false,
    }
}

fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(reason) if reason.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Cache { path: path.to_owned(), reason })
        }
        _ => Ok(()),
    }
}

fn sha256(path: &Path) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    std::io::copy(&mut std::fs::File::open(path)?, &mut hasher)?;
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A bar on a terminal; nothing elsewhere, where the log says what is downloaded.
struct Bar(ProgressBar);

impl Progress for Bar {
    fn init(&mut self, size: usize, filename: &str) {
        let style = "{msg} {wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
        self.0 = ProgressBar::new(size as u64).with_message(filename.to_owned());
        self.0.set_style(
            ProgressStyle::with_template(style).expect("the template is a constant that is valid"),
        );
    }

    fn update(&mut self, bytes: usize) {
        self.0.inc(bytes as u64);
    }

    fn finish(&mut self) {
        self.0.finish_and_clear();
    }
}
