//! A hub on the loopback: the paths, headers and habits of the real one, with faults on demand. It speaks raw HTTP, since
//! no proper server can be talked into ending a body early.

use serde_json::Value;
use serde_json::json;
use sha2::Digest as _;
use sha2::Sha256;
use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Write as _;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;
use std::time::Duration;

/// The commit that every repository is at.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Nothing here takes so long, unless it never ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the hub has, and how it behaves.
#[derive(Default)]
pub struct Content {
    /// By repository and name.
    pub files: BTreeMap<(String, String), Vec<u8>>,
    /// Without this token, everything is denied.
    pub token: Option<String>,
    /// Bodies of files of this ending stop half-way, so many times.
    pub broken: Option<(&'static str, usize)>,
    pub habit: Habit,
    /// `name` was renamed: requests for it are sent on, as the real hub does; with this status instead of 307.
    pub renamed: Option<(&'static str, &'static str)>,
    pub redirect_status: Option<u16>,
    /// This is a mirror: everything is sent on to another hub.
    pub mirror_of: Option<String>,
    /// Where files are redirected to, if not to this host by this name. It takes no token, as S3 takes no second one.
    pub cdn: Option<String>,
    /// The list of files has their names only.
    pub bare_listing: bool,
    /// The checksums in the list of files are those of other files.
    pub wrong_checksums: bool,
    /// Weights are sent once this gives something, or once its sender is gone.
    pub held: Option<Receiver<()>>,
}

/// How files are sent.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Habit {
    /// At once.
    #[default]
    Plain,
    /// From another place, with the headers about the file in the answer that says so.
    Redirected,
    /// A beginning may be asked for, and the rest: the whole file is sent instead.
    Forgetful,
    /// Nothing comes but the first half.
    Stuck,
    /// Without saying how much will come: the end of the connection is the end of the file.
    Unmeasured,
    /// Connections that stop half-way stay open.
    Silent,
}

/// A running hub; it stops when dropped.
pub struct FakeHub {
    pub endpoint: String,
    address: SocketAddr,
    content: Arc<Mutex<Content>>,
    requests: Arc<Mutex<Vec<Asked>>>,
    thread: Option<JoinHandle<()>>,
    stop: Arc<Mutex<bool>>,
}

/// A request as it was seen.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The name that the client has for this machine, with the port.
    pub host: String,
    /// Path, and range if any.
    pub path: String,
    pub token: Option<String>,
}

struct Request {
    host: String,
    path: String,
    range: Option<(usize, Option<usize>)>,
    token: Option<String>,
}

impl Content {
    /// All files of a folder, under a prefix.
    pub fn with_folder(mut self, repository: &str, prefix: &str, folder: &Path) -> Self {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            self = self.with(repository, &name, std::fs::read(entry.path()).unwrap());
        }
        self
    }

    pub fn with(mut self, repository: &str, name: &str, file: Vec<u8>) -> Self {
        self.files.insert((repository.to_owned(), name.to_owned()), file);
        self
    }

    pub fn start(self) -> FakeHub {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let content = Arc::new(Mutex::new(self));
        let requests = Arc::<Mutex<Vec<Asked>>>::default();
        let stop = Arc::new(Mutex::new(false));
        let shared = (Arc::clone(&content), Arc::clone(&requests), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let (content, requests, stop) = shared;
            let mut open = Vec::new();
            for stream in listener.incoming() {
                if *stop.lock().unwrap() {
                    break;
                }
                // A client that goes away in the middle is no fault of the hub.
                if let Ok(stream) = answer(stream.unwrap(), address, &content, &requests)
                    && content.lock().unwrap().habit == Habit::Silent
                {
                    open.push(stream);
                }
            }
        });
        let endpoint = format!("http://{address}");
        FakeHub { endpoint, address, content, requests, thread: Some(thread), stop }
    }
}

impl FakeHub {
    pub fn change(&self, change: impl FnOnce(&mut Content)) {
        change(&mut self.content.lock().unwrap());
    }

    /// The requests since the last call: path, and range if any.
    pub fn requests(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.path).collect()
    }

    /// The same, with all that is known of them.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }

    /// The same machine by another name: to a client it is another host.
    pub fn alias(&self) -> String {
        format!("http://localhost:{}", self.address.port())
    }
}

impl Drop for FakeHub {
    fn drop(&mut self) {
        *self.stop.lock().unwrap() = true;
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn read(stream: &TcpStream) -> std::io::Result<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let mut request = Request {
        host: String::new(),
        path: first.split(' ').nth(1).unwrap_or_default().to_owned(),
        range: None,
        token: None,
    };
    for line in lines.map_while(Result::ok).take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").unwrap();
        match name.to_ascii_lowercase().as_str() {
            "range" => {
                let (from, to) = value.trim_start_matches("bytes=").split_once('-').unwrap();
                request.range = Some((from.parse().unwrap(), to.parse().ok()));
            }
            "host" => request.host = value.to_owned(),
            "authorization" => request.token = value.strip_prefix("Bearer ").map(str::to_owned),
            _ => {}
        }
    }
    Ok(request)
}

fn answer(
    mut stream: TcpStream,
    address: SocketAddr,
    content: &Mutex<Content>,
    requests: &Mutex<Vec<Asked>>,
) -> std::io::Result<TcpStream> {
    let request = read(&stream)?;
    let range = request.range.map_or_else(String::new, |(from, to)| {
        format!(" {from}-{}", to.map_or_else(String::new, |to| to.to_string()))
    });
    requests.lock().unwrap().push(Asked {
        host: request.host.clone(),
        path: format!("{}{range}", request.path),
        token: request.token.clone(),
    });
    let mut content = content.lock().unwrap();
    let whole = request.range.is_some_and(|(_, to)| to.is_none());
    if is_large(&request.path)
        && whole
        && let Some(held) = &content.held
    {
        let _ = held.recv_timeout(PATIENCE);
    }
    let (head, body) = content.answer(&request, address);
    write!(stream, "HTTP/1.1 {head}\r\nconnection: close\r\n\r\n")?;
    stream.write_all(&body)?;
    Ok(stream)
}

impl Content {
    fn answer(&mut self, request: &Request, address: SocketAddr) -> (String, Vec<u8>) {
        let empty = |status: &str| (format!("{status}\r\ncontent-length: 0"), Vec::new());
        let redirect = |location: &str| {
            let status = self.redirect_status.unwrap_or(307);
            empty(&format!("{status} Elsewhere\r\nlocation: {location}"))
        };
        if let Some(other) = &self.mirror_of {
            return redirect(&format!("{other}{}", request.path));
        }
        let is_cdn = request.path.starts_with("/cdn/");
        if is_cdn && self.cdn.is_some() && request.token.is_some() {
            return empty("400 Only one way of authentication");
        }
        if !is_cdn && self.token.is_some() && self.token != request.token {
            return empty("401 Unauthorized");
        }
        if let Some((old, new)) = self.renamed
            && request.path.contains(old)
        {
            return redirect(&request.path.replace(old, new));
        }
        if let Some(rest) = request.path.strip_prefix("/api/models/") {
            let (repository, revision) = rest.split_once("/revision/").unwrap();
            let known = revision.split('?').next() == Some("main") || revision.starts_with(COMMIT);
            let listing = known.then(|| self.listing(repository)).flatten();
            return match listing {
                Some(listing) => {
                    let body = listing.to_string();
                    (format!("200 OK\r\ncontent-length: {}", body.len()), body.into_bytes())
                }
                None => empty("404 Not Found"),
            };
        }
        let found = request.path[1..]
            .split_once("/resolve/")
            .and_then(|(repository, rest)| Some((repository, rest.split_once('/')?.1)))
            .or_else(|| request.path.strip_prefix("/cdn/")?.split_once("/-/"))
            .map(|(repository, name)| (repository, name.split('?').next().unwrap_or(name)));
        let key = found.map(|(repository, name)| (repository.to_owned(), name.to_owned()));
        match key.and_then(|key| Some((key.clone(), self.files.get(&key)?.clone()))) {
            Some((key, file)) => self.file(request, &key, &file, address),
            None => empty("404 Not Found"),
        }
    }

    fn listing(&self, repository: &str) -> Option<Value> {
        let files = self.files.iter().filter(|((owner, _), _)| owner == repository);
        let files: Vec<_> = files
            .map(|((_, name), file)| {
                let sha256 = if self.wrong_checksums { "00".repeat(32) } else { sha256(file) };
                let lfs = is_large(name).then(|| json!({ "sha256": sha256, "size": file.len() }));
                match self.bare_listing {
                    true => json!({ "rfilename": name }),
                    false => json!({ "rfilename": name, "size": file.len(), "lfs": lfs }),
                }
            })
            .collect();
        (!files.is_empty()).then(|| json!({ "sha": COMMIT, "siblings": files }))
    }

    fn file(
        &mut self,
        request: &Request,
        (repository, name): &(String, String),
        file: &[u8],
        address: SocketAddr,
    ) -> (String, Vec<u8>) {
        let about = format!("x-repo-commit: {COMMIT}\r\netag: \"{}\"", sha256(file));
        if self.habit == Habit::Redirected && !request.path.starts_with("/cdn/") {
            let about = about.replace("etag", "x-linked-etag");
            let host = self.cdn.clone().unwrap_or_else(|| format!("http://{address}"));
            let location = format!("{host}/cdn/{repository}/-/{name}?signature=hush");
            let head = format!("302 Found\r\nlocation: {location}\r\n{about}\r\ncontent-length: 0");
            return (head, Vec::new());
        }
        let (from, to) = request.range.unwrap_or((0, None));
        let forgetful = self.habit == Habit::Forgetful && to.is_none();
        let from = if forgetful { 0 } else { from };
        if from >= file.len() {
            return ("416 Range Not Satisfiable\r\ncontent-length: 0".to_owned(), Vec::new());
        }
        let to = to.map_or(file.len(), |to| (to + 1).min(file.len()));
        let mut body = file[from..to].to_vec();
        let status = if forgetful { "200 OK" } else { "206 Partial Content" };
        let length = match self.habit {
            Habit::Unmeasured => String::new(),
            _ => format!("content-length: {}\r\n", body.len()),
        };
        let (last, size) = (to - 1, file.len());
        let range = format!("content-range: bytes {from}-{last}/{size}");
        let head = format!("{status}\r\n{length}{range}\r\n{about}");
        if let Some((ending, times)) = &mut self.broken
            && *times > 0
            && name.ends_with(*ending)
            && body.len() > 1
        {
            *times -= 1;
            let half = file.len() / 2;
            body.truncate(if self.habit == Habit::Stuck {
                half.saturating_sub(from)
            } else {
                body.len() / 2
            });
        }
        (head, body)
    }
}

/// Large files are kept apart, and the hub knows their checksums.
fn is_large(name: &str) -> bool {
    name.ends_with(".safetensors") || name.contains("checkpoint_")
}

fn sha256(file: &[u8]) -> String {
    Sha256::digest(file).iter().map(|byte| format!("{byte:02x}")).collect()
}
