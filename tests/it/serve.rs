//! A whole server on a real socket: loading, limits on connections, disconnects, stopping.

use crate::support::data;
use crate::wire::MODEL;
use crate::wire::events;
use crate::wire::reasoner;
use anyhow::bail;
use coconut::engine::config::EngineConfig;
use coconut::http;
use coconut::http::listen::Limits;
use coconut::http::serve;
use coconut::metrics::Metrics;
use coconut::reason::reasoner::Reasoner;
use futures::future::join_all;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncBufReadExt as _;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::io::BufReader;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Nothing here takes so long, unless it never ends.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A server on a port of its own.
pub struct Running {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<anyhow::Result<()>>,
}

pub fn config() -> serve::Config {
    let limits =
        Limits { max_connections: 64, header_read_timeout: PATIENCE, write_timeout: PATIENCE };
    let (drain_delay, grace_period) = (Duration::ZERO, PATIENCE);
    serve::Config { http: http::Config::default(), limits, drain_delay, grace_period }
}

pub fn fixture(metrics: Arc<Metrics>) -> anyhow::Result<Reasoner> {
    assert!(data(MODEL).exists());
    Ok(reasoner(EngineConfig::default(), metrics))
}

pub async fn start(
    config: serve::Config,
    load: impl FnOnce(Arc<Metrics>) -> anyhow::Result<Reasoner> + Send + 'static,
) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let shutdown = async {
        let _ = stopped.await;
    };
    let ended = tokio::spawn(serve::run(listener, config, load, shutdown));
    Running { address, stop: Some(stop), ended }
}

impl Running {
    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Asks on a connection of its own and reads to its end; `None` where the server closes without a word.
    async fn exchange(&self, method_path: &str, body: &str) -> Option<String> {
        let mut stream = self.connect().await;
        stream.write_all(request(method_path, body, "close").as_bytes()).await.ok()?;
        let mut response = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut response)).await.unwrap().ok()?;
        (!response.is_empty()).then_some(response)
    }

    pub async fn get(&self, path: &str) -> String {
        self.exchange(&format!("GET {path}"), "").await.unwrap()
    }

    /// Asks until the response starts with this; each answer is waited for, no time is guessed.
    pub async fn until(&self, path: &str, start: &str) {
        let asking = async { while !self.get(path).await.starts_with(start) {} };
        timeout(PATIENCE, asking).await.unwrap();
    }

    pub fn tell_to_stop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
    }

    pub async fn stopped(mut self) -> anyhow::Result<()> {
        self.tell_to_stop();
        timeout(PATIENCE, self.ended).await.unwrap().unwrap()
    }
}

pub fn request(method_path: &str, body: &str, connection: &str) -> String {
    let length = body.len();
    format!(
        "{method_path} HTTP/1.1\r\nhost: test\r\nconnection: {connection}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

/// Reads a response's head and gives back its first line.
pub async fn head(stream: &mut BufReader<TcpStream>) -> String {
    whole_head(stream).await.lines().next().unwrap_or_default().to_owned()
}

/// Reads a response's head.
pub async fn whole_head(stream: &mut BufReader<TcpStream>) -> String {
    let mut lines = String::new();
    loop {
        let start = lines.len();
        timeout(PATIENCE, stream.read_line(&mut lines)).await.unwrap().unwrap();
        if lines[start..].trim().is_empty() {
            return lines;
        }
    }
}

pub fn question(max_tokens: usize) -> String {
    json!({"question": "Is Bob a lempus?", "stream": true, "latent_steps": 6, "max_tokens": max_tokens}).to_string()
}

// ===== loading =====

#[tokio::test]
async fn it_is_alive_while_loading_and_ready_after() {
    let (loaded, wait) = std::sync::mpsc::channel();
    let server = start(config(), move |metrics| {
        wait.recv().unwrap();
        fixture(metrics)
    })
    .await;
    assert!(server.get("/health/live").await.starts_with("HTTP/1.1 200"));
    assert!(server.get("/health/ready").await.starts_with("HTTP/1.1 503"));
    loaded.send(()).unwrap();
    server.until("/health/ready", "HTTP/1.1 200").await;
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn a_model_that_cannot_be_loaded_ends_it() {
    let server = start(config(), |_| bail!("no such model")).await;
    let error = timeout(PATIENCE, server.ended).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "no such model");
}

#[tokio::test]
async fn it_stops_while_loading() {
    let (_loaded, wait) = std::sync::mpsc::channel::<()>();
    let server = start(config(), move |_| {
        let _ = wait.recv();
        bail!("nobody waits for this")
    })
    .await;
    assert!(server.get("/health/live").await.starts_with("HTTP/1.1 200"));
    server.stopped().await.unwrap();
}

// ===== connections =====

/// The second one looks like the beginning of HTTP/2 as well, the third is HTTP/1.
#[tokio::test]
async fn a_client_that_does_not_finish_its_request_is_disconnected() {
    let limits = Limits { header_read_timeout: Duration::from_millis(50), ..config().limits };
    let server = start(serve::Config { limits, ..config() }, fixture).await;
    for beginning in ["", "P", "POST /v1/reason HTTP/1.1\r\nhost: te"] {
        let mut stream = server.connect().await;
        stream.write_all(beginning.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap().unwrap();
        assert!(!String::from_utf8_lossy(&rest).contains("200"), "{beginning}");
    }
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_one_to_close() {
    let limits = Limits { max_connections: 1, ..config().limits };
    let server = start(serve::Config { limits, ..config() }, fixture).await;
    let live = request("GET /health/live", "", "keep-alive");

    let mut first = BufReader::new(server.connect().await);
    first.write_all(live.as_bytes()).await.unwrap();
    assert!(head(&mut first).await.starts_with("HTTP/1.1 200"));
    let mut second = BufReader::new(server.connect().await);
    second.write_all(live.as_bytes()).await.unwrap();
    // Rounds of the first client, in which a server without the limit would have answered the second.
    for _ in 0..20 {
        let mut rest = [0; 15];
        first.read_exact(&mut rest).await.unwrap();
        first.write_all(live.as_bytes()).await.unwrap();
        assert!(head(&mut first).await.starts_with("HTTP/1.1 200"));
    }
    let early = second.get_ref().try_read(&mut [0; 1]);
    assert_eq!(early.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    drop(first);
    assert!(head(&mut second).await.starts_with("HTTP/1.1 200"));
    drop(second);
    server.stopped().await.unwrap();
}

/// Also those on which nothing was asked yet, which no other number shows.
#[tokio::test]
async fn open_connections_are_counted() {
    let server = start(config(), fixture).await;
    let silent = [server.connect().await, server.connect().await];
    let counted = |count: usize| format!("\ncoconut_http_connections {count}\n");
    assert!(server.get("/metrics").await.contains(&counted(3)));
    drop(silent);
    let closed = async { while !server.get("/metrics").await.contains(&counted(1)) {} };
    timeout(PATIENCE, closed).await.unwrap();
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn clients_that_hang_up_leave_nothing_running() {
    let server = start(config(), fixture).await;
    server.until("/health/ready", "HTTP/1.1 200").await;
    for _ in 0..8 {
        let mut stream = BufReader::new(server.connect().await);
        stream
            .write_all(request("POST /v1/reason", &question(200), "close").as_bytes())
            .await
            .unwrap();
        assert!(head(&mut stream).await.starts_with("HTTP/1.1 200"));
    }
    let idle = async {
        loop {
            let metrics = server.get("/metrics").await;
            if metrics.contains("\ncoconut_running 0\n")
                && metrics.contains("\ncoconut_http_in_flight 1\n")
            {
                break;
            }
        }
    };
    timeout(PATIENCE, idle).await.unwrap();
    server.stopped().await.unwrap();
}

// ===== stopping =====

#[tokio::test]
async fn stopping_loses_no_accepted_request() {
    let server = start(config(), fixture).await;
    server.until("/health/ready", "HTTP/1.1 200").await;
    let clients = join_all((0..16).map(async |_| {
        let mut stream = BufReader::new(server.connect().await);
        stream
            .write_all(request("POST /v1/reason", &question(100), "keep-alive").as_bytes())
            .await
            .unwrap();
        assert!(head(&mut stream).await.starts_with("HTTP/1.1 200"));
        stream
    }))
    .await;
    // All are accepted; only now is the server told to stop.
    let stopped = tokio::spawn(server.stopped());
    for mut client in clients {
        let mut rest = String::new();
        timeout(PATIENCE, client.read_to_string(&mut rest)).await.unwrap().unwrap();
        assert!(rest.contains("event: done"), "{rest}");
    }
    stopped.await.unwrap().unwrap();
}

#[tokio::test]
async fn without_a_grace_period_streams_still_end_with_a_word() {
    let server = start(serve::Config { grace_period: Duration::ZERO, ..config() }, fixture).await;
    server.until("/health/ready", "HTTP/1.1 200").await;
    let mut stream = BufReader::new(server.connect().await);
    stream
        .write_all(request("POST /v1/reason", &question(200), "keep-alive").as_bytes())
        .await
        .unwrap();
    assert!(head(&mut stream).await.starts_with("HTTP/1.1 200"));
    let stopped = tokio::spawn(server.stopped());
    let mut rest = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut rest)).await.unwrap().unwrap();
    // It may have been quick enough to finish.
    let body: String =
        rest.lines().filter(|line| !line.ends_with('\r')).map(|line| format!("{line}\n")).collect();
    let last = events(&body).pop().unwrap_or_else(|| panic!("{rest:?}"));
    assert!(["done", "error"].contains(&last.name.as_str()), "{rest}");
    stopped.await.unwrap().unwrap();
}
