//! What a revision has: asked from the hub, with lengths and hashes, or read from the cache. Fetches no file.

use crate::files::text;
use crate::hub::cache::Folder;
use crate::hub::cache::is_hash;
use crate::hub::cache::is_plain;
use crate::hub::client::Answer;
use crate::hub::client::Client;
use crate::hub::client::Part;
use crate::hub::error::Error;
use crate::hub::id::Id;
use crate::web::place::segment;
use serde::Deserialize;
use std::path::Path;

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
    /// The name of its content in the cache, where the hub said so: SHA-256 of large files, git's hash of others.
    pub(super) hash: Option<String>,
    /// In hexadecimal; the hub knows it of large files.
    pub(super) sha256: Option<String>,
}

#[derive(Deserialize)]
struct Commit {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: Option<String>,
}

impl Listing {
    /// `GET /api/models/{owner}/{name}/revision/{revision}`.
    pub(super) fn ask(client: &Client, id: &Id) -> Result<Self, Error> {
        let (asked, repository, revision) = (id.to_string(), &id.repository, segment(&id.revision));
        let path = format!("api/models/{repository}/revision/{revision}?blobs=true");
        let answer = client.get(&path, Part::Text).and_then(Answer::text);
        let answer = answer.map_err(|failure| client.error(&asked, failure))?;
        let answer: Commit = serde_json::from_slice(text::unmarked(answer.as_bytes()))
            .map_err(|error| client.unusable(&asked, format!("no list of files: {error}")))?;
        if !is_hash(&answer.sha) {
            return Err(client.unusable(&asked, "its commit is no hash"));
        }
        let files = answer.siblings.into_iter().filter(|file| is_plain(&file.rfilename));
        Ok(Self { commit: answer.sha, files: files.map(File::from).collect(), cached: false })
    }

    /// What is in the cache of a revision.
    pub(super) fn cached(folder: &Folder, revision: &str) -> Option<Self> {
        let commit = folder.noted(revision).unwrap_or_else(|| revision.to_owned());
        if !is_hash(&commit) {
            return None;
        }
        let mut files = Vec::new();
        collect(&folder.snapshot(&commit), "", &mut files);
        (!files.is_empty()).then_some(Self { commit, files, cached: true })
    }
}

impl From<Sibling> for File {
    fn from(file: Sibling) -> Self {
        let sha256 = file.lfs.and_then(|lfs| lfs.sha256);
        let hash = sha256.clone().or(file.blob_id).filter(|hash| is_hash(hash));
        Self { name: file.rfilename, size: file.size, hash, sha256 }
    }
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
            Ok(metadata) => {
                let size = Some(metadata.len());
                files.push(File { name, size, hash: None, sha256: None });
            }
            Err(_) => {}
        }
    }
}
