//! How connections end: an answer that comes before its question is read arrives all the same, and a server that stops
//! tells its clients so in time.

use crate::serve::PATIENCE;
use crate::serve::Running;
use crate::serve::config;
use crate::serve::fixture;
use crate::serve::head;
use crate::serve::question;
use crate::serve::request;
use crate::serve::start;
use crate::serve::whole_head;
use coconut::http;
use coconut::http::ApiKeys;
use coconut::http::listen::Limits;
use coconut::http::serve;
use futures::future::join_all;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::time::timeout;

const LIVE: &str = "GET /health/live HTTP/1.1\r\nhost: test\r\n\r\n";

async fn rest(stream: &mut BufReader<TcpStream>) -> String {
    let mut rest = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut rest)).await.unwrap().unwrap();
    rest
}

// ===== bodies that nobody reads =====

/// More than the kernel's buffers hold: who is not read from cannot have written it.
const LARGE: usize = 12 << 20;

async fn locked() -> Running {
    let api_keys = ApiKeys::new(["key".to_owned()]);
    let http = http::Config { api_keys, ..http::Config::default() };
    start(serve::Config { http, ..config() }, fixture).await
}

/// A client that writes all before it reads, and then asks again on the same connection.
#[tokio::test]
async fn a_client_that_is_refused_before_its_body_is_read_gets_the_answer() {
    let server = locked().await;
    let json = "content-type: application/json";
    for (method_path, headers, status) in [
        ("POST /v1/reason", json, "401"),
        ("POST /nowhere", json, "404"),
        ("PUT /health/live", json, "405"),
        ("POST /v1/reason", "content-type: text/plain\r\nauthorization: Bearer key", "415"),
        (
            "POST /v1/reason",
            "content-type: application/json\r\nauthorization: Bearer key\r\ncontent-encoding: br",
            "415",
        ),
        (
            "POST /v1/reason",
            "content-type: application/json\r\nauthorization: Bearer key\r\nx-request-timeout: soon",
            "400",
        ),
        ("POST /v1/reason", "content-type: application/json\r\nauthorization: Bearer key", "413"),
    ] {
        let mut stream = BufReader::new(server.connect().await);
        let asked = format!(
            "{method_path} HTTP/1.1\r\nhost: test\r\n{headers}\r\ncontent-length: {LARGE}\r\n\r\n"
        );
        stream.write_all(asked.as_bytes()).await.unwrap();
        let written = timeout(PATIENCE, stream.write_all(&vec![b' '; LARGE])).await.unwrap();
        written.unwrap_or_else(|error| panic!("{method_path} {status}: {error}"));
        let head = whole_head(&mut stream).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{method_path}: {head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.unwrap().trim().parse().unwrap()];
        stream.read_exact(&mut body).await.unwrap();
        stream.write_all(LIVE.as_bytes()).await.unwrap();
        let next = crate::serve::head(&mut stream).await;
        assert!(next.starts_with("HTTP/1.1 200"), "after {method_path} {status}: {next}");
    }
    server.stopped().await.unwrap();
}

/// It has not sent its body, and is not asked to.
#[tokio::test]
async fn a_client_that_waits_to_be_asked_for_its_body_is_refused_without_it() {
    let server = locked().await;
    let known = "content-type: application/json\r\nauthorization: Bearer key\r\n";
    for (headers, status) in [("", "401"), (known, "413")] {
        let mut stream = BufReader::new(server.connect().await);
        let asked = format!(
            "POST /v1/reason HTTP/1.1\r\nhost: test\r\n{headers}expect: 100-continue\r\ncontent-length: {LARGE}\r\n\r\n"
        );
        stream.write_all(asked.as_bytes()).await.unwrap();
        let head = head(&mut stream).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
        assert!(!rest(&mut stream).await.contains("100 Continue"));
    }
    server.stopped().await.unwrap();
}

// ===== answers that nobody reads =====

/// The one connection that there may be is given to the next client.
#[tokio::test]
async fn a_client_that_reads_nothing_of_its_answers_is_disconnected() {
    let write_timeout = Duration::from_secs(1);
    let limits = Limits { max_connections: 1, write_timeout, ..config().limits };
    let server = start(serve::Config { limits, ..config() }, fixture).await;
    let mut deaf = server.connect().await;
    // Together larger than what the kernel keeps for who does not read.
    let asked = "GET /openapi.json HTTP/1.1\r\nhost: test\r\n\r\n".repeat(LARGE / 100_000);
    deaf.write_all(asked.as_bytes()).await.unwrap();
    assert!(server.get("/health/live").await.starts_with("HTTP/1.1 200"));
    drop(deaf);
    server.stopped().await.unwrap();
}

// ===== stopping =====

fn slowly(drain_delay: Duration) -> serve::Config {
    serve::Config { drain_delay, ..config() }
}

/// The delay never ends here: all of this happens within it.
#[tokio::test]
async fn while_it_drains_everybody_is_answered_and_told_to_go() {
    let mut server = start(slowly(Duration::MAX), fixture).await;
    server.until("/health/ready", "HTTP/1.1 200").await;
    let mut kept = BufReader::new(server.connect().await);
    kept.write_all(LIVE.as_bytes()).await.unwrap();
    assert!(!whole_head(&mut kept).await.contains("connection: close"));
    kept.read_exact(&mut [0; 15]).await.unwrap();

    server.tell_to_stop();
    server.until("/health/ready", "HTTP/1.1 503").await;
    assert!(server.get("/health/live").await.starts_with("HTTP/1.1 200"));
    // One that was kept, and a new one.
    for mut stream in [kept, BufReader::new(server.connect().await)] {
        let asked = request("POST /v1/reason", &question(20), "keep-alive");
        stream.write_all(asked.as_bytes()).await.unwrap();
        let head = whole_head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.contains("connection: close"), "{head}");
        assert!(rest(&mut stream).await.contains("event: done"));
    }
}

/// Some are accepted by then, some only by the kernel, and some have not said anything yet.
#[tokio::test]
async fn clients_that_connect_as_it_closes_are_answered() {
    let mut server = start(slowly(Duration::ZERO), fixture).await;
    server.until("/health/ready", "HTTP/1.1 200").await;
    let streams = join_all((0..32).map(async |_| server.connect().await)).await;
    server.tell_to_stop();
    let answers = join_all(streams.into_iter().map(async |stream| {
        let mut stream = BufReader::new(stream);
        let asked = request("POST /v1/reason", &question(5), "keep-alive");
        stream.write_all(asked.as_bytes()).await.unwrap();
        let head = whole_head(&mut stream).await;
        head + &rest(&mut stream).await
    }))
    .await;
    for answer in answers {
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("event: done"), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn a_connection_that_nobody_uses_does_not_keep_it_from_stopping() {
    let server = start(slowly(Duration::ZERO), fixture).await;
    let mut used = BufReader::new(server.connect().await);
    used.write_all(LIVE.as_bytes()).await.unwrap();
    assert!(head(&mut used).await.starts_with("HTTP/1.1 200"));
    let mut silent = BufReader::new(server.connect().await);
    server.stopped().await.unwrap();
    assert_eq!(rest(&mut silent).await, "");
}

// ===== HTTP/2, frame by frame =====

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `GET /` and `POST /` at `https://t`, by the static table of RFC 7541.
const GET: &[u8] = &[0x82, 0x87, 0x84, 0x41, 1, b't'];
const POST: &[u8] = &[0x83, 0x87, 0x84, 0x41, 1, b't'];

fn frame((kind, flags, stream): (u8, u8, u32), payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Reads frames up to the first that is looked for, and gives back their kinds.
async fn until(stream: &mut TcpStream, mut found: impl FnMut(u8, u8) -> bool) -> Vec<u8> {
    let mut kinds = Vec::new();
    loop {
        let mut head = [0; 9];
        timeout(PATIENCE, stream.read_exact(&mut head)).await.unwrap().unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await.unwrap();
        kinds.push(head[3]);
        if found(head[3], head[4]) {
            return kinds;
        }
    }
}

async fn connected(server: &Running) -> TcpStream {
    let mut stream = server.connect().await;
    let hello = [PREFACE, &frame((SETTINGS, 0, 0), &[])].concat();
    stream.write_all(&hello).await.unwrap();
    stream
}

fn ends(kind: u8, flags: u8) -> bool {
    [DATA, HEADERS].contains(&kind) && flags & END_STREAM != 0
}

#[tokio::test]
async fn a_refused_body_over_http_2_is_read_to_its_end_too() {
    let server = start(config(), fixture).await;
    let mut stream = connected(&server).await;
    stream.write_all(&frame((HEADERS, END_HEADERS, 1), POST)).await.unwrap();
    until(&mut stream, ends).await;
    let body = [
        frame((DATA, 0, 1), &[b' '; 16_000]),
        frame((DATA, END_STREAM, 1), &[b' '; 16_000]),
        frame((PING, 0, 0), &[0; 8]),
    ];
    stream.write_all(&body.concat()).await.unwrap();
    let kinds = until(&mut stream, |kind, _| kind == PING).await;
    assert!(!kinds.contains(&RST_STREAM) && !kinds.contains(&GOAWAY), "{kinds:?}");
    drop(stream);
    server.stopped().await.unwrap();
}

/// It would go on to acknowledge the server's pings for as long as it likes.
#[tokio::test]
async fn a_connection_over_http_2_that_nobody_uses_is_closed_as_one_over_http_1_is() {
    let limits = Limits { header_read_timeout: Duration::from_secs(1), ..config().limits };
    let server = start(serve::Config { limits, ..config() }, fixture).await;
    let mut idle = connected(&server).await;
    idle.write_all(&frame((HEADERS, END_HEADERS | END_STREAM, 1), GET)).await.unwrap();
    until(&mut idle, ends).await;
    let kinds = until(&mut idle, |kind, _| kind == GOAWAY).await;
    assert!(!kinds.contains(&PING), "long before it is asked whether it is there: {kinds:?}");
    drop(idle);
    server.stopped().await.unwrap();
}

/// The client gives answers no room at all.
#[tokio::test]
async fn a_client_over_http_2_that_takes_nothing_of_its_answer_is_disconnected() {
    let short = Duration::from_secs(1);
    let limits = Limits { header_read_timeout: short, write_timeout: short, ..config().limits };
    let server = start(serve::Config { limits, ..config() }, fixture).await;
    let mut deaf = server.connect().await;
    let no_window = frame((SETTINGS, 0, 0), &[0, 4, 0, 0, 0, 0]);
    let asked = frame((HEADERS, END_HEADERS | END_STREAM, 1), GET);
    deaf.write_all(&[PREFACE, &no_window, &asked].concat()).await.unwrap();
    let kinds = until(&mut deaf, |kind, _| kind == GOAWAY).await;
    assert!(kinds.contains(&HEADERS), "{kinds:?}");
    assert!(!kinds.contains(&DATA) && !kinds.contains(&PING), "{kinds:?}");
    timeout(PATIENCE, deaf.read_to_end(&mut Vec::new())).await.unwrap().unwrap();
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn over_http_2_clients_are_told_with_goaway_once_they_were_answered() {
    let mut server = start(slowly(Duration::MAX), fixture).await;
    server.until("/health/ready", "HTTP/1.1 200").await;
    let mut kept = connected(&server).await;
    kept.write_all(&frame((HEADERS, END_HEADERS | END_STREAM, 1), GET)).await.unwrap();
    until(&mut kept, ends).await;
    server.tell_to_stop();
    until(&mut kept, |kind, _| kind == GOAWAY).await;

    let mut fresh = connected(&server).await;
    fresh.write_all(&frame((PING, 0, 0), &[0; 8])).await.unwrap();
    let kinds = until(&mut fresh, |kind, _| kind == PING).await;
    assert!(!kinds.contains(&GOAWAY), "nothing was asked yet: {kinds:?}");
    fresh.write_all(&frame((HEADERS, END_HEADERS | END_STREAM, 1), GET)).await.unwrap();
    // In either order.
    let (mut answered, mut told) = (false, false);
    let both = |kind, flags| {
        answered |= ends(kind, flags);
        told |= kind == GOAWAY;
        answered && told
    };
    until(&mut fresh, both).await;
}
