//! What a revision has: asked from the hub, with lengths and checksums, or read from the cache. Fetches no file.

use crate::files;
use crate::hub::Hub;
use crate::hub::error::Error;
use crate::hub::failed;
use crate::hub::id::Id;
use crate::hub::repo;
use hf_hub::api::sync::ApiError;
use serde::Deserialize;
use std::path::Component;
use std::path::Path;
use std::time::Duration;

/// The longest wait for the hub to say what it has. An orchestrator that starts a server without a network should not
/// have to wait longer for the cache to be used.
const PATIENCE: Duration = Duration::from_secs(15);

/// More bytes than a list of files has.
const MAX_LISTING_BYTES: u64 = 64 << 20;

/// The files of one commit.
#[derive(Debug)]
pub(super) struct Listing {
    /// Its hash.
    pub(super) commit: String,
    pub(super) files: Vec<File>,
    /// Whether it is from the cache, so that nothing can be added to it.
    pub(super) cached: bool,
}

/// One file of a commit.
#[derive(Debug)]
pub(super) struct File {
    pub(super) name: String,
    /// In bytes, where the hub said so.
    pub(super) size: Option<u64>,
    /// In hexadecimal; the hub knows it of large files.
    pub(super) sha256: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: Option<String>,
}

impl Hub {
    /// `GET /api/models/{owner}/{name}/revision/{revision}`.
    pub(super) fn ask(&self, id: &Id) -> Result<Listing, Error> {
        let asked = id.to_string();
        let repo = self.api.repo(repo(id, &id.revision));
        let request = repo.info_request().query("blobs", "true").config();
        let answer = request
            .timeout_global(Some(PATIENCE))
            .build()
            .call()
            .and_then(|answer| {
                answer.into_body().into_with_config().limit(MAX_LISTING_BYTES).read_to_string()
            })
            .map_err(|error| self.error(&asked, &ApiError::RequestError(Box::new(error))))?;
        let answer: Answer = serde_json::from_slice(files::unmarked(answer.as_bytes()))
            .map_err(|error| failed(&self.config, &asked, &format!("no list of files: {error}")))?;
        if !is_plain(&answer.sha) {
            return Err(failed(&self.config, &asked, "its commit is no hash"));
        }
        let files = answer.siblings.into_iter().filter(|file| is_plain(&file.rfilename));
        let files = files.map(|file| File {
            name: file.rfilename,
            size: file.size,
            sha256: file.lfs.and_then(|lfs| lfs.sha256),
        });
        Ok(Listing { commit: answer.sha, files: files.collect(), cached: false })
    }

    /// What is in the cache of this revision.
    pub(super) fn cached(&self, id: &Id) -> Option<Listing> {
        let folder = self.folder(id);
        let noted = files::read(&folder.join("refs").join(&id.revision)).ok();
        let commit = noted.map_or_else(|| id.revision.clone(), |noted| noted.trim().to_owned());
        let snapshot = folder.join("snapshots").join(&commit);
        let mut files = Vec::new();
        collect(&snapshot, "", &mut files);
        (is_plain(&commit) && !files.is_empty()).then_some(Listing { commit, files, cached: true })
    }
}

/// Whether a name from the hub stays within its folder.
pub(super) fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    !name.is_empty() && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// All files at or below a folder whose content is there: a link may lead to nothing.
fn collect(folder: &Path, prefix: &str, files: &mut Vec<File>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        match std::fs::metadata(entry.path()) {
            Ok(metadata) if metadata.is_dir() => {
                collect(&entry.path(), &format!("{name}/"), files);
            }
            Ok(metadata) => files.push(File { name, size: Some(metadata.len()), sha256: None }),
            Err(_) => {}
        }
    }
}
