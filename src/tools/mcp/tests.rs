//! Tests against servers of a few lines: a shell's, and one behind an address. `tests/mcp/run.sh` asks a real one.

use crate::tools::call::Argument;
use crate::tools::call::Call;
use crate::tools::call::Observation;
use crate::tools::set::ToolSet;
use crate::tools::tool::Given;
use serde_json::Value;
use serde_json::json;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;
use std::time::Instant;

/// Speaks the protocol as far as it is spoken here. The id is the first number after `"id":`.
const SHELL: &str = r#"
while read -r line; do
    id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
    case $line in
    *'"initialize"'*) result='{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"sh","version":"1"}}' ;;
    *'"tools/list"'*) result='{"tools":[{"name":"weather","description":"Says it.","inputSchema":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}]}' ;;
    *'"tools/call"'*Hang*) continue ;;
    *'"tools/call"'*Die*) exit 0 ;;
    *'"tools/call"'*Fail*) result='{"content":[{"type":"text","text":"no such city"}],"isError":true}' ;;
    *'"tools/call"'*) result='{"content":[{"type":"text","text":"rain"},{"type":"image","data":"","mimeType":"image/png"}]}' ;;
    *) continue ;;
    esac
    printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$result"
done
"#;

async fn ask(set: &ToolSet, city: &str, patience: Duration) -> Observation {
    let call = Call { name: "weather".to_owned(), argument: Argument::Text(city.to_owned()) };
    set.run(&call, &mut Given::default(), Instant::now() + patience).await
}

const LONG: Duration = Duration::from_secs(60);

#[cfg(unix)]
#[tokio::test]
async fn a_program_is_started_asked_and_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("a server.sh");
    std::fs::write(&script, SHELL).unwrap();
    let entry = format!("mcp=sh '{}'", script.display());
    let set = ToolSet::open(vec![entry]).await.unwrap();
    let declared: Vec<_> = set.declarations().cloned().collect();
    assert_eq!((declared.len(), declared[0].name.as_str()), (1, "weather"));
    assert_eq!(declared[0].parameters["required"], json!(["city"]));
    assert_eq!(ask(&set, "Tarn", LONG).await, Observation::found("rain\n[an image]"));
    let failed = ask(&set, "Fail", LONG).await;
    assert_eq!(failed, Observation::failed("weather failed: no such city"));
    let cut = ask(&set, "Hang", Duration::from_millis(50)).await;
    assert!(cut.is_error && cut.text.contains("too long"), "{cut:?}");
    // Whoever hung does not keep others waiting.
    assert!(!ask(&set, "Tarn", LONG).await.is_error);
    // A server that ends takes its call with it, and is started again for the next.
    assert!(ask(&set, "Die", LONG).await.is_error);
    assert!(!ask(&set, "Tarn", LONG).await.is_error);
}

/// What the server behind the address answers.
fn answer(head: &str, message: &Value) -> String {
    let with_body = |status: &str, kind: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nMcp-Session-Id: s1\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let result = |result: Value| json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
    if head.starts_with("GET") {
        return with_body("405 Method Not Allowed", "text/plain", "");
    }
    match message["method"].as_str().unwrap_or_default() {
        "initialize" => {
            let info = json!({
                "protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                "serverInfo": {"name": "here", "version": "1"},
            });
            with_body("200 OK", "application/json", &result(info).to_string())
        }
        // A session that was given is named.
        _ if !head.to_ascii_lowercase().contains("mcp-session-id: s1") => {
            with_body("400 Bad Request", "text/plain", "no session")
        }
        "tools/list" => {
            let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
            let tools = json!({"tools": [{"name": "weather", "inputSchema": schema}]});
            with_body("200 OK", "application/json; charset=utf-8", &result(tools).to_string())
        }
        "tools/call" if message["params"]["arguments"]["city"] == "Error" => {
            let error = json!({"code": -32602, "message": "what city?"});
            let error = json!({"jsonrpc": "2.0", "id": message["id"], "error": error});
            with_body("400 Bad Request", "application/json", &error.to_string())
        }
        "tools/call" if message["params"]["arguments"]["city"] == "Broken" => {
            with_body("502 Bad Gateway", "text/html", "<html>")
        }
        "tools/call" => {
            let progress = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": 1}});
            let rain = result(json!({"content": [{"type": "text", "text": "rain"}]}));
            let events = format!("data: {progress}\n\nevent: message\ndata: {rain}\n\n");
            with_body("200 OK", "text/event-stream", &events)
        }
        _ => with_body("202 Accepted", "text/plain", ""),
    }
}

fn serve(stream: &mut TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head
        .to_ascii_lowercase()
        .lines()
        .find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let message = serde_json::from_slice(&body).unwrap_or_default();
    stream.write_all(answer(&head, &message).as_bytes()).ok()
}

#[tokio::test]
async fn a_server_behind_an_address_is_asked() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || serve(&mut stream.unwrap()));
        }
    });
    let set = ToolSet::open(vec![format!("mcp=http://{address}/mcp")]).await.unwrap();
    assert_eq!(ask(&set, "Tarn", LONG).await, Observation::found("rain"));
    for (city, says) in [("Error", "what city?"), ("Broken", "502")] {
        let failed = ask(&set, city, LONG).await;
        assert!(failed.is_error && failed.text.contains(says), "{failed:?}");
    }
    assert!(!ask(&set, "Tarn", LONG).await.is_error);
}

#[tokio::test]
async fn what_is_no_server_is_refused() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (target, says) in [
        ("mcp=".to_owned(), "neither"),
        ("mcp=sh 'x".to_owned(), "quote"),
        ("mcp=true".to_owned(), "true"),
        (format!("mcp=http://{nobody}/"), "http://"),
    ] {
        let Err(error) = ToolSet::open(vec![target.clone()]).await else { panic!("{target}") };
        assert!(error.to_string().contains(says), "{error}");
    }
}
