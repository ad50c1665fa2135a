//! Tests against servers on this machine: what is text, what is followed, who may be asked.

use crate::tools::call::Argument;
use crate::tools::call::Call;
use crate::tools::fetch::Fetch;
use crate::tools::tool::Given;
use crate::tools::tool::Tool as _;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Write as _;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;
use std::time::Instant;

/// A server that answers every path with what is written for it; its port.
fn server(answers: Vec<(&'static str, String)>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let Some(Ok(first)) = lines.next() else { continue };
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let path = first.split(' ').nth(1).unwrap().to_owned();
            let answer = answers.iter().find(|(known, _)| *known == path);
            let missing = "404 Not Found\r\nContent-Length: 0\r\n\r\n";
            let answer = answer.map_or(missing, |(_, answer)| answer);
            // Whoever asked may be gone.
            let _ = write!(stream, "HTTP/1.1 {answer}");
        }
    });
    port
}

fn page(kind: &str, body: &str) -> String {
    let head =
        format!("Content-Type: {kind}\r\nConnection: close\r\nContent-Length: {}", body.len());
    format!("200 OK\r\n{head}\r\n\r\n{body}")
}

fn redirect(location: &str) -> String {
    format!("302 Found\r\nLocation: {location}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
}

fn fetch(hosts: &[&str], address: &str, patience: Duration) -> Result<String, String> {
    let argument = Argument::Text(address.to_owned());
    let call = Call { name: "fetch".to_owned(), argument };
    let fetch = Fetch::from_hosts(hosts).unwrap();
    fetch.run(&call, &mut Given::default(), Instant::now() + patience)
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn text_and_json_are_given_and_nothing_else() {
    let long = "é".repeat(200_000);
    let port = server(vec![
        ("/text", page("text/plain; charset=utf-8", "good é")),
        ("/json", page("application/problem+json", "{}")),
        ("/image", page("image/png", "x")),
        ("/none", "200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_owned()),
        ("/long", page("text/plain", &long)),
        ("/broken", "200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nx".to_owned()),
    ]);
    let host = format!("http://127.0.0.1:{port}");
    let get = |path: &str| fetch(&[&host], &format!("{host}{path}"), LONG);
    assert_eq!(get("/text").unwrap(), "good é");
    assert_eq!(get("/json").unwrap(), "{}");
    let long = get("/long").unwrap();
    assert!(long.ends_with("é [cut at 262144 bytes]"), "{}", &long[long.len() - 40..]);
    for (path, says) in [
        ("/image", "neither text nor JSON"),
        ("/none", "neither text nor JSON"),
        ("/broken", "broke off"),
        ("/nowhere", "404"),
    ] {
        let said = get(path).unwrap_err();
        assert!(said.contains(says), "{path}: {said}");
    }
}

#[test]
fn redirects_lead_to_listed_hosts_only() {
    let inside = server(vec![("/secret", page("text/plain", "secret"))]);
    let port = server(vec![
        ("/here", redirect("/there")),
        ("/there", page("text/plain", "arrived")),
        ("/out", redirect(&format!("http://127.0.0.1:{inside}/secret"))),
        ("/round", redirect("/round")),
    ]);
    let host = format!("http://127.0.0.1:{port}");
    let get = |path: &str| fetch(&[&host], &format!("{host}{path}"), LONG);
    assert_eq!(get("/here").unwrap(), "arrived");
    assert!(get("/out").unwrap_err().contains("not on the list"));
    assert!(get("/round").unwrap_err().contains("more than 5 times"));
}

#[test]
fn hosts_that_are_not_listed_or_lead_inside_are_not_asked() {
    let port = server(vec![("/", page("text/plain", "inside"))]);
    let (literal, by_name) = (format!("http://127.0.0.1:{port}"), format!("http://127.1:{port}"));
    assert_eq!(fetch(&[&literal], &format!("{literal}/"), LONG).unwrap(), "inside");
    // Listed, but no number as a whole: like a name, it leads where the list does not say.
    let said = fetch(&[&by_name], &format!("{by_name}/"), LONG).unwrap_err();
    assert!(said.contains("private"), "{said}");
    for (address, says) in [
        (format!("http://127.0.0.1:{}/", port ^ 1), "not on the list"),
        (format!("https://127.0.0.1:{port}/"), "not on the list"),
        (format!("http://127.0.0.1:{port}@evil.org/"), "no address"),
        (format!("http://me@127.0.0.1:{port}/"), "no address"),
        (format!("127.0.0.1:{port}/"), "no address"),
        ("file:///etc/passwd".to_owned(), "no address"),
    ] {
        let said = fetch(&[&literal], &address, LONG).unwrap_err();
        assert!(said.contains(says), "{address}: {said}");
    }
}

#[test]
fn a_server_that_says_nothing_is_left_at_the_deadline() {
    // Nobody accepts: the connection is made, and nothing comes.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("http://{}", listener.local_addr().unwrap());
    let start = Instant::now();
    let said = fetch(&[&host], &format!("{host}/"), Duration::from_millis(50)).unwrap_err();
    assert!(said.contains("timeout") && start.elapsed() < LONG, "{said}");
}
