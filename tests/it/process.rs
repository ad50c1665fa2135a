//! The server as a process among others: logs that nobody reads, signals, variables beside flags, what it leaves behind.

use crate::cli::coconut;
use crate::cli::run;
use crate::support::data;
use crate::wire::MODEL;
use serde_json::Value;
use std::fs::File;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Lines;
use std::process::Child;
use std::process::ChildStderr;
use std::process::Command;
use std::process::Stdio;
use tempfile::TempDir;

/// A server on a port of its own that logs JSON, and its log.
struct Server {
    process: Child,
    log: Lines<BufReader<ChildStderr>>,
}

impl Server {
    fn start(command: &mut Command) -> Self {
        let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(process.stderr.take().unwrap()).lines();
        Self { process, log }
    }

    /// The next line that says this.
    fn until(&mut self, message: &str) -> Value {
        let mut lines = self.log.by_ref().map(|line| line.unwrap());
        let said = lines.find_map(|line| {
            let line: Value =
                serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
            (line["message"] == message).then_some(line)
        });
        said.unwrap_or_else(|| panic!("it never says `{message}`"))
    }

    /// Its address, once it answers questions.
    fn ready(&mut self) -> String {
        let address = self.until("listening")["address"].as_str().unwrap().to_owned();
        self.until("ready");
        address
    }

    fn is_sent(&self, signals: &[&str]) {
        send(self.process.id(), signals);
    }

    fn exit_code(mut self) -> Option<i32> {
        self.process.wait().unwrap().code()
    }
}

/// One after the other, by one process.
fn send(pid: u32, signals: &[&str]) {
    let kills: Vec<String> = signals.iter().map(|signal| format!("kill -{signal} {pid}")).collect();
    assert!(Command::new("sh").args(["-c", &kills.join("; ")]).status().unwrap().success());
}

/// The words of a server with a small model.
fn words() -> Vec<String> {
    let model = data(MODEL).to_str().unwrap().to_owned();
    let words = ["serve", "--listen", "127.0.0.1:0", "--log-format", "json", "--model", &model];
    words.map(str::to_owned).to_vec()
}

fn serving(more: &[&str]) -> Command {
    let mut command = coconut(&[]);
    command.args(words()).args(more);
    command
}

fn is_ready(address: &str) -> bool {
    run(&["healthcheck", "--address", address]).0.status.success()
}

// ===== logs =====

/// The port on which a process listens, by the tables of the kernel: what would tell it cannot be written.
#[cfg(target_os = "linux")]
fn listening(pid: u32) -> Option<u16> {
    let links = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.filter_map(Result::ok);
    let targets = links.filter_map(|link| std::fs::read_link(link.path()).ok());
    let sockets: Vec<String> = targets
        .filter_map(|target| {
            let inode = target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
            Some(inode.to_owned())
        })
        .collect();
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).ok()?;
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut ours = rows.filter(|row| {
        row.get(3) == Some(&"0A")
            && row.get(9).is_some_and(|inode| sockets.iter().any(|s| s == inode))
    });
    u16::from_str_radix(ours.next()?[1].split_once(':')?.1, 16).ok()
}

#[test]
#[cfg(target_os = "linux")]
fn a_log_that_cannot_be_written_stops_nothing() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut server = serving(&[]).stderr(full).spawn().unwrap();
    let port = loop {
        assert_eq!(server.try_wait().unwrap(), None, "it goes on");
        match listening(server.id()) {
            Some(port) => break port,
            None => std::thread::yield_now(),
        }
    };
    let address = format!("127.0.0.1:{port}");
    while !is_ready(&address) {
        assert_eq!(server.try_wait().unwrap(), None, "it goes on");
    }
    assert!(is_ready(&address), "each request has a line");
    let metrics = get(&address, "/metrics");
    let lost = metrics.lines().find_map(|line| line.strip_prefix("coconut_log_lines_lost_total "));
    assert!(lost.unwrap().parse::<u64>().unwrap() >= 3, "{lost:?}");
    send(server.id(), &["TERM"]);
    assert_eq!(server.wait().unwrap().code(), Some(0));
}

/// Asks on a connection of its own and reads to its end.
fn get(address: &str, path: &str) -> String {
    use std::io::Read as _;
    use std::io::Write as _;
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let id = "i".repeat(100);
    let asked = format!(
        "GET {path} HTTP/1.1\r\nhost: test\r\nx-request-id: {id}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(asked.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// What it says of these requests is several times what a pipe holds.
#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let mut server = Server::start(&mut serving(&["--drain-delay", "0"]));
    let address = server.ready();
    for _ in 0..1000 {
        assert!(get(&address, "/health/live").starts_with("HTTP/1.1 200"));
    }
    server.is_sent(&["TERM"]);
    assert_eq!(server.exit_code(), Some(0));
}

/// Whatever is to be logged: whoever collects objects is told why there are no more.
#[test]
fn the_error_that_ends_a_server_has_the_form_of_its_log() {
    for (level, model, said) in [
        ("info", "./no/such/model", "cannot load the model"),
        ("off", "./no/such/model", "cannot load the model"),
        ("info==", "./no/such/model", "--log-level"),
    ] {
        let words = ["serve", "--listen", "127.0.0.1:0", "--log-level", level, "--model", model];
        let (output, text) = run(&[&words[..], &["--log-format", "json"]].concat());
        assert_eq!(output.status.code(), Some(1), "{text}");
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let last = lines.last().unwrap();
        assert_eq!(last["level"], "ERROR", "{text}");
        assert!(last["message"].as_str().unwrap().contains(said), "{text}");
        let (_, text) = run(&words);
        assert_eq!(text.matches(said).count(), 1, "{text}");
        assert!(text.contains("error: "), "{text}");
    }
}

// ===== signals =====

/// As `timeout` sends them: to the process, and then to its group.
#[test]
fn two_signals_at_once_are_one_request_to_stop() {
    let mut server = Server::start(&mut serving(&["--drain-delay", "1"]));
    server.ready();
    server.is_sent(&["TERM", "INT"]);
    server.until("asked to stop");
    server.until("the same request to stop again");
    server.until("stopped");
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
#[cfg(target_os = "linux")]
fn a_terminal_that_is_closed_asks_to_stop_unless_it_is_ignored() {
    // Whoever runs the tests may ignore it, and what they start inherits that.
    let start = |wrapper: &[&str]| {
        let mut command = Command::new(wrapper[0]);
        command.args(&wrapper[1..]).arg(env!("CARGO_BIN_EXE_coconut")).args(words());
        Server::start(command.args(["--drain-delay", "0"]))
    };
    let mut server = start(&["env", "--default-signal=HUP"]);
    server.ready();
    server.is_sent(&["HUP"]);
    assert_eq!(server.until("asked to stop")["signal"], "SIGHUP");
    server.until("stopped");
    assert_eq!(server.exit_code(), Some(0));

    let mut server = start(&["nohup"]);
    let address = server.ready();
    server.is_sent(&["HUP"]);
    assert!(is_ready(&address));
    server.is_sent(&["TERM"]);
    assert_eq!(server.until("asked to stop")["signal"], "SIGTERM");
    server.until("stopped");
    assert_eq!(server.exit_code(), Some(0));
}

/// It waits for a file that nobody writes when it is told to stop.
#[test]
fn a_server_that_stops_while_it_loads_takes_its_files_away() {
    let (place, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let pipe = elsewhere.path().join("means");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let words = ["serve", "--listen", "127.0.0.1:0", "--log-format", "json", "--thought-means"];
    let mut server = Server::start(coconut(&words).arg(&pipe).env("TMPDIR", place.path()));
    server.until("listening");
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "it is laid out");
    server.is_sent(&["TERM"]);
    server.until("stopping before the model was loaded");
    server.until("stopped");
    assert_eq!(server.exit_code(), Some(0));
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

// ===== variables =====

#[test]
fn a_flag_wins_over_the_variable_of_another_that_says_the_same() {
    let words = ["serve", "--listen", "127.0.0.1:0", "--model", "./no/such/model"];
    let said = |flags: &[&str], variables: &[(&str, &str)]| {
        let mut command = coconut(&words);
        let output = command.args(flags).envs(variables.iter().copied()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let memory = ("COCONUT_KV_MEMORY", "1GiB");
    let (code, text) = said(&["--kv-positions", "64"], &[memory]);
    assert!(code == Some(1) && text.contains("no/such/model"), "{text}");
    let (code, text) = said(&[], &[memory, ("COCONUT_KV_POSITIONS", "64")]);
    assert!(code == Some(2) && text.contains("--kv-positions"), "{text}");
}

/// Containers mount secrets for all, readable or not.
#[test]
fn a_token_that_cannot_be_read_matters_only_where_the_hub_is_asked() {
    let folder = TempDir::new().unwrap();
    let said = |model: &str| {
        let mut command = coconut(&["inspect", "--model", model]);
        command.env_remove("HF_HUB_OFFLINE").env("HF_HOME", folder.path());
        let output = command.env("HF_TOKEN_PATH", folder.path()).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (found, text) = said(data(MODEL).to_str().unwrap());
    assert!(found, "{text}");
    let (found, text) = said("owner/name");
    assert!(!found && text.contains("cannot read"), "{text}");
    assert!(text.contains(folder.path().to_str().unwrap()), "{text}");
}
