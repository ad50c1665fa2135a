//! One file of a commit into the cache: resumed where it broke off, and doubted until its length and checksum are those
//! that the hub states. Nothing stands under its final name before.

use crate::files::digest;
use crate::hub::cache::Content;
use crate::hub::cache::Folder;
use crate::hub::cache::is_hash;
use crate::hub::cache::length;
use crate::hub::cache::make_parent;
use crate::hub::cache::remove;
use crate::hub::client::Answer;
use crate::hub::client::Client;
use crate::hub::client::Failure;
use crate::hub::client::Part;
use crate::hub::error::Error;
use crate::hub::id::Id;
use crate::hub::listing::File;
use crate::web::place::path;
use indicatif::ProgressBar;
use indicatif::ProgressStyle;
use std::io::Read as _;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

/// A download that brought nothing new so many times is given up.
const ATTEMPTS: usize = 4;

/// The status for a range that the file does not have: that of an empty file, or of one that is here completely.
const RANGE_NOT_SATISFIABLE: u16 = 416;

/// How often to look whether another process is done.
const GLANCE: Duration = Duration::from_millis(200);

/// Read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// Where files come from and where they go.
pub(super) struct Source<'a> {
    pub(super) client: &'a Client,
    pub(super) folder: &'a Folder,
    pub(super) id: &'a Id,
    pub(super) commit: &'a str,
}

/// A file on its way.
struct Wanted<'a> {
    client: &'a Client,
    name: &'a str,
    /// As messages name it.
    asked: String,
    /// Below the endpoint.
    path: String,
    size: u64,
    content: Content,
}

/// How an attempt ended.
enum Attempt {
    Whole,
    Short(String),
}

impl Source<'_> {
    /// Makes sure that a file is in the cache with all its bytes.
    pub(super) fn fetch(&self, file: &File) -> Result<(), Error> {
        let pointer = self.folder.snapshot(self.commit).join(&file.name);
        if length(&pointer).is_some_and(|here| file.size.is_none_or(|size| size == here)) {
            return Ok(());
        }
        let Some(wanted) = self.wanted(file)? else { return Ok(()) };
        let _held = wanted.hold()?;
        if length(&wanted.content.blob) != Some(wanted.size) {
            wanted.content.demote(wanted.size)?;
            wanted.download()?;
            wanted.verify(file.sha256.as_deref())?;
            wanted.content.complete()?;
        }
        wanted.content.link(&pointer, file.name.matches('/').count())
    }

    /// What is to be downloaded; `None` for an empty file, of which there is no first byte.
    fn wanted<'f>(&'f self, file: &'f File) -> Result<Option<Wanted<'f>>, Error> {
        let asked = format!("{} of {}", file.name, self.id);
        let path = format!("{}/resolve/{}/{}", self.id.repository, self.commit, path(&file.name));
        let (hash, size) = match (file.hash.clone(), file.size) {
            (Some(hash), Some(size)) => (hash, size),
            (hash, size) => match self.client.get(&path, Part::First) {
                Ok(answer) => (
                    hash.or_else(|| answer.etag()).unwrap_or_default(),
                    size.or_else(|| answer.whole_bytes()).unwrap_or_default(),
                ),
                Err(Failure::Status { status: RANGE_NOT_SATISFIABLE, .. }) => return Ok(None),
                Err(failure) => return Err(self.client.error(&asked, failure)),
            },
        };
        if !is_hash(&hash) {
            return Err(self.client.unusable(&asked, "its etag is no name for a file"));
        }
        if size == 0 {
            return Err(self.client.unusable(&asked, "it does not say how long the file is"));
        }
        let content = self.folder.content(&hash);
        let (client, name) = (self.client, file.name.as_str());
        Ok(Some(Wanted { client, name, asked, path, size, content }))
    }
}

impl Wanted<'_> {
    /// Waits until no other process downloads the same, as long as the other one gets on.
    fn hold(&self) -> Result<std::fs::File, Error> {
        let patience = self.client.waits().other;
        let got = || length(&self.content.incomplete);
        let (mut before, mut since) = (got(), Instant::now());
        loop {
            if let Some(held) = self.content.hold()? {
                return Ok(held);
            }
            if before != got() {
                (before, since) = (got(), Instant::now());
            } else if since.elapsed() >= patience {
                let (asked, lock) = (self.asked.clone(), self.content.lock.clone());
                return Err(Error::Held { asked, seconds: patience.as_secs(), lock });
            }
            tracing::debug!(file = self.name, "waiting: another process downloads it");
            std::thread::sleep(GLANCE);
        }
    }

    /// What is here of it.
    fn got(&self) -> u64 {
        length(&self.content.incomplete).unwrap_or(0)
    }

    /// Downloads until nothing is missing, going on where the last attempt ended.
    fn download(&self) -> Result<(), Error> {
        let (mut most, mut fruitless) = (self.got(), 0);
        loop {
            // What is as long as the file and was never checked, or longer: not a beginning of it.
            if self.got() >= self.size {
                remove(&self.content.incomplete)?;
                most = 0;
            }
            let Attempt::Short(reason) = self.attempt(self.got())? else { return Ok(()) };
            let got = self.got();
            fruitless = if got > most { 0 } else { fruitless + 1 };
            most = most.max(got);
            if fruitless == ATTEMPTS {
                let (asked, size) = (self.asked.clone(), self.size);
                return Err(Error::Truncated { asked, got, size, reason });
            }
            let (file, of) = (self.name, self.size);
            tracing::warn!(file, got, of, reason, "broken off, going on");
            std::thread::sleep(self.client.waits().pause);
        }
    }

    fn attempt(&self, got: u64) -> Result<Attempt, Error> {
        tracing::info!(file = self.name, bytes = self.size, got, "downloading");
        let answer = match self.client.get(&self.path, Part::From(got)) {
            Ok(answer) => answer,
            Err(Failure::Status { status: RANGE_NOT_SATISFIABLE, .. }) => {
                remove(&self.content.incomplete)?;
                return Ok(Attempt::Short("what was here is too long".to_owned()));
            }
            Err(Failure::Status { status: status @ (408 | 429 | 500..), .. }) => {
                return Ok(Attempt::Short(format!("it answered {status}")));
            }
            Err(Failure::Broken(reason)) => return Ok(Attempt::Short(reason)),
            Err(failure) => return Err(self.client.error(&self.asked, failure)),
        };
        match answer.first_byte() {
            Some(first) if first == got || first == 0 => self.write(first, answer),
            _ => Ok(Attempt::Short("another part of it was sent".to_owned())),
        }
    }

    /// Writes what comes, from this byte on.
    fn write(&self, first: u64, answer: Answer) -> Result<Attempt, Error> {
        let path = &self.content.incomplete;
        let io = |reason| Error::Cache { path: path.clone(), reason };
        make_parent(path)?;
        // Opened for adding: the bytes before stay as they are.
        let mut file = std::fs::File::options().create(true).append(true).open(path).map_err(io)?;
        file.set_len(first).map_err(io)?;
        let bar = bar(self.name, first, self.size);
        // One byte more than there should be tells that it is another file; more than that fills a disk.
        let mut left = self.size.saturating_sub(first).saturating_add(1);
        let (mut reader, mut chunk) = (answer.reader(), vec![0; CHUNK_BYTES]);
        let ended = loop {
            let room = usize::try_from(left).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
            match reader.read(&mut chunk[..room]) {
                Ok(0) => break "the connection ended early".to_owned(),
                Ok(read) => {
                    file.write_all(&chunk[..read]).map_err(io)?;
                    bar.inc(read as u64);
                    left -= read as u64;
                }
                Err(error) => break error.to_string(),
            }
        };
        bar.finish_and_clear();
        Ok(match self.got() == self.size {
            true => Attempt::Whole,
            false if left == 0 => Attempt::Short("more of it was sent than there is".to_owned()),
            false => Attempt::Short(ended),
        })
    }

    /// Pieces of several attempts were put together: they must be the file that was published.
    fn verify(&self, published: Option<&str>) -> Result<(), Error> {
        let Some(published) = published else { return Ok(()) };
        let path = &self.content.incomplete;
        let got = sha256(path).map_err(|reason| Error::Cache { path: path.clone(), reason })?;
        if got.eq_ignore_ascii_case(published) {
            return Ok(());
        }
        remove(path)?;
        let (asked, published) = (self.asked.clone(), published.to_owned());
        Err(Error::Damaged { asked, got, published })
    }
}

fn sha256(path: &Path) -> std::io::Result<String> {
    Ok(digest::sha256(std::fs::File::open(path)?)?.0)
}

/// A bar on a terminal; nothing elsewhere, where the log says what is downloaded.
fn bar(name: &str, got: u64, size: u64) -> ProgressBar {
    let style = "{msg} {wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
    let style =
        ProgressStyle::with_template(style).expect("the template is a constant that is valid");
    let bar = ProgressBar::new(size).with_message(name.to_owned()).with_position(got);
    bar.set_style(style);
    bar
}
