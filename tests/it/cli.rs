//! The `coconut` command as an operator meets it: help, refusals, exit codes, signals.

use crate::support::data;
use crate::wire::MODEL;
use std::io::BufRead as _;
use std::io::BufReader;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use tempfile::TempDir;

/// The binary, with no settings from the environment of the test, and without a network.
pub fn coconut(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coconut"));
    let ours = |name: &str| name.starts_with("COCONUT_") || name.starts_with("HF_");
    for (name, _) in std::env::vars().filter(|(name, _)| ours(name)) {
        command.env_remove(name);
    }
    command.env("HF_HUB_OFFLINE", "1").args(words);
    command
}

pub fn run(words: &[&str]) -> (Output, String) {
    let output = coconut(words).output().unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output, text)
}

#[test]
fn help_names_each_setting_with_its_variable() {
    let (output, text) = run(&["serve", "--help-all"]);
    assert!(output.status.success());
    let flags: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("--"))
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert!(flags.len() >= 20, "{flags:?}");
    for flag in flags.into_iter().filter(|flag| *flag != "help-all") {
        let name = flag.to_uppercase().replace('-', "_");
        // Other tools that use the hub read the same variables.
        let variables = [format!("COCONUT_{name}"), format!("HF_HUB_{name}"), name];
        let shown = |name: &String| {
            text.contains(&format!("[env: {name}=")) || text.contains(&format!("[env: {name}]"))
        };
        assert!(variables.iter().any(shown), "{flag}");
    }
}

/// The commands, and those below them, by their words.
fn commands() -> Vec<Vec<String>> {
    let listed = |words: &[&str]| -> Vec<String> {
        let output = coconut(words).arg("--help").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().skip_while(|line| *line != "Commands:").skip(1);
        let lines = lines.take_while(|line| line.starts_with("  "));
        // What goes on on the next line is further to the right.
        let lines = lines.filter(|line| !line.starts_with("   "));
        lines.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
    };
    let mut all = vec![vec![]];
    for command in listed(&[]).into_iter().filter(|name| name != "help") {
        for sub in listed(&[&command]).into_iter().filter(|name| name != "help") {
            all.push(vec![command.clone(), sub]);
        }
        all.push(vec![command]);
    }
    all
}

/// What `--help` or `--help-all` prints on a terminal of eighty columns.
fn help(words: &[String], flag: &str) -> String {
    let mut command = coconut(&[]);
    let output = command.args(words).arg(flag).env("COLUMNS", "80").output().unwrap();
    assert!(output.status.success(), "{words:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The flags that a help text lists.
fn flags(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let words = lines.flat_map(|line| line.split([' ', ',']).find(|word| word.starts_with("--")));
    words.map(str::to_owned).collect()
}

#[test]
fn help_fits_a_screen_and_the_rest_is_behind_help_all() {
    let commands = commands();
    assert!(commands.len() > 15, "{commands:?}");
    for words in commands {
        let (brief, all) = (help(&words, "--help"), help(&words, "--help-all"));
        let most = if words.is_empty() { 24 } else { 40 };
        assert!(brief.lines().count() <= most, "{words:?}: {} lines", brief.lines().count());
        // A line of usage is as long as a command that is typed.
        let lines = brief.lines().chain(all.lines()).filter(|line| !line.starts_with("Usage:"));
        for line in lines {
            assert!(line.chars().count() <= 80, "{words:?}: {line}");
        }
        assert_eq!(help(&words, "-h"), brief);
        let (some, every) = (flags(&brief), flags(&all));
        assert!(some.iter().all(|flag| every.contains(flag)), "{words:?}");
        assert!(words.is_empty() || some.contains(&"--help-all".to_owned()), "{words:?}: {brief}");
    }
    let count = |flag| flags(&help(&["serve".to_owned()], flag)).len();
    assert!(count("--help-all") > count("--help") + 15);
}

#[test]
fn exit_codes_are_told_and_true() {
    let text = help(&[], "--help");
    assert!(text.contains("0 done; 1 failed") && text.contains("; 2 flags"), "{text}");
    assert_eq!(run(&["openapi"]).0.status.code(), Some(0));
    assert_eq!(run(&["inspect", "--model", "./no/such"]).0.status.code(), Some(1));
    assert_eq!(run(&["inspect", "--modle", "./no/such"]).0.status.code(), Some(2));
}

#[test]
fn shells_complete_every_command_and_flag() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let (output, script) = run(&["completions", shell]);
        assert!(output.status.success(), "{shell}");
        for word in ["reason", "generate-data", "latent-steps", "kv-positions", "help-all"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let (output, text) = run(&["completions", "tcsh"]);
    assert!(output.status.code() == Some(2) && text.contains("fish"), "{text}");
}

#[test]
fn each_command_has_a_page_of_the_manual() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("share/man1");
    let (output, text) = run(&["man", "--out", out.to_str().unwrap()]);
    assert!(output.status.success(), "{text}");
    for words in commands() {
        let name = ["coconut".to_owned()].into_iter().chain(words).collect::<Vec<_>>().join("-");
        let page = std::fs::read_to_string(out.join(format!("{name}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{name}");
    }
    let page = std::fs::read_to_string(out.join("coconut-serve.1")).unwrap();
    assert!(page.contains("kv\\-positions") && page.contains("COCONUT_LISTEN"), "{page}");
    // Also of a flag that the brief help leaves out.
    assert!(page.contains("A manifest (coconut.json)"), "{page}");
}

#[test]
fn secrets_in_the_environment_are_not_shown() {
    for variable in ["COCONUT_API_KEYS", "HF_TOKEN"] {
        let output = coconut(&["serve", "--help-all"]).env(variable, "hush").output().unwrap();
        assert!(!String::from_utf8_lossy(&output.stdout).contains("hush"));
    }
}

#[test]
fn wrong_settings_are_refused_by_name() {
    for (words, said) in [
        (
            &["serve", "--model", "m", "--kv-memory", "1GiB", "--kv-positions", "9"][..],
            "--kv-positions",
        ),
        (&["serve", "--model", "m", "--kv-memory", "1 GB"], "--kv-memory"),
        (&["serve", "--model", "m", "--max-running", "0"], "--max-running"),
        (&["serve", "--model", "m", "--listen", "everywhere"], "--listen"),
        (&["serve", "--model", "m", "--protect-metrics"], "--protect-metrics"),
        (&["serve", "--model", "m", "--log-level", "info=="], "info=="),
        (&["serve", "--model", "m", "--api-keys-file", "no/such/file"], "no/such/file"),
    ] {
        let (output, text) = run(words);
        assert!(!output.status.success() && text.contains(said), "{words:?}: {text}");
    }
}

/// The library that reads log filters has its cause in its message.
#[test]
fn a_refusal_says_nothing_twice() {
    let (_, text) = run(&["serve", "--log-level", "info=="]);
    assert_eq!(text.matches("parsing level filter").count(), 1, "{text}");
}

/// Docker compose hands on what is not set as empty; a key that is meant to protect is another matter.
#[test]
fn empty_variables_are_unset_ones() {
    let words = ["serve", "--listen", "127.0.0.1:0", "--model", "./no/such/model"];
    let plain = run(&words).1;
    let help = run(&["serve", "--help-all"]).1;
    let variables = help.split("[env: ").skip(1).map(|rest| rest.split(['=', ']']).next().unwrap());
    let (keys, others): (Vec<&str>, Vec<&str>) =
        variables.partition(|name| name.starts_with("COCONUT_API_KEYS"));
    assert!(others.len() > 25 && keys.len() == 2, "{others:?} {keys:?}");
    let said = |names: &[&str]| {
        let output = coconut(&words).envs(names.iter().map(|name| (name, ""))).output().unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    // But for the time that log lines begin with.
    let last = |text: &str| text.lines().last().map(str::to_owned);
    assert_eq!(last(&said(&others)), last(&plain));
    for key in keys {
        let said = said(&[key]);
        assert!(said.contains("api-keys"), "{key}: {said}");
    }
}

/// As other tools that use the hub have it.
#[test]
fn the_cache_is_where_the_environment_says() {
    for (variable, cache) in [
        ("HF_HUB_CACHE", "place"),
        ("HF_HOME", "place/hub"),
        ("XDG_CACHE_HOME", "place/huggingface/hub"),
    ] {
        let output = coconut(&["inspect", "--model", "owner/name"]).env(variable, "place").output();
        let said = String::from_utf8_lossy(&output.unwrap().stderr).into_owned();
        assert!(said.contains(&format!("not in {cache},")), "{variable}: {said}");
    }
}

#[test]
fn switches_are_what_people_write() {
    for (value, refused) in [("1", true), ("true", true), ("yes", true), ("0", false), ("", false)]
    {
        let words = ["serve", "--listen", "127.0.0.1:0", "--model", "./no/such/model"];
        let output = coconut(&words).env("COCONUT_PROTECT_METRICS", value).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(said.contains("--protect-metrics needs keys"), refused, "{value}: {said}");
    }
}

/// Wherever it stands, and with nothing beside it.
#[test]
fn without_a_model_the_default_checkpoint_is_served() {
    let elsewhere = TempDir::new().unwrap();
    let mut server = coconut(&["serve", "--listen", "127.0.0.1:0", "--log-format", "json"])
        .current_dir(elsewhere.path())
        .env("TMPDIR", elsewhere.path())
        .env("COCONUT_MODEL", "")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = BufReader::new(server.stderr.take().unwrap()).lines();
    let mut log =
        log.map(|line| serde_json::from_str::<serde_json::Value>(&line.unwrap()).unwrap());
    let said =
        |line: &serde_json::Value, words: &str| line["message"].as_str().unwrap().contains(words);
    assert!(log.any(|line| said(&line, "no --model: taking the default checkpoint, prosqa")));
    let place = log.find(|line| said(line, "see thoughts at http://127.0.0.1:")).unwrap();
    assert!(said(&place, "/docs") && !said(&place, ":0/"), "{place}");
    assert_eq!(log.find(|line| said(line, "ready")).unwrap()["model"], "prosqa");
    server.kill().unwrap();
    server.wait().unwrap();
    let left = std::fs::read_dir(elsewhere.path()).unwrap().count();
    assert_eq!(left, 0, "its files are gone once it is loaded");
    let (output, text) = run(&["inspect"]);
    assert!(output.status.success() && text.contains("family        coconut"), "{text}");
}

#[test]
fn a_model_that_is_not_there_ends_the_process_with_its_name() {
    for (model, said) in
        [("./no/such/model", "cannot load the model"), ("no/such/model", "offline")]
    {
        let (output, text) = run(&["serve", "--listen", "127.0.0.1:0", "--model", model]);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(said) && text.contains(model), "{text}");
    }
}

#[test]
fn the_openapi_document_is_printed() {
    let (output, _) = run(&["openapi"]);
    let committed =
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/openapi.json")).unwrap();
    assert!(output.status.success() && output.stdout == committed);
}

#[test]
fn the_health_check_fails_where_nobody_listens() {
    // A port that was free a moment ago; nobody listens on it while the listener below is only bound and dropped.
    let address =
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (output, text) = run(&["healthcheck", "--address", &address]);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(&address), "{text}");
}

#[test]
fn a_server_becomes_ready_logs_json_and_ends_well_on_sigterm() {
    lives_until_sigterm("info");
}

/// The quiet level is for the module that waits for signals: what it does must not hang on what it says.
#[test]
fn a_server_that_logs_warnings_only_lives_until_sigterm_too() {
    lives_until_sigterm("info,coconut::http::shutdown=warn");
}

fn lives_until_sigterm(log_level: &str) {
    let model = data(MODEL);
    let mut server = coconut(&["serve", "--listen", "127.0.0.1:0", "--log-format", "json"])
        .args(["--log-level", log_level, "--model"])
        .arg(&model)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = BufReader::new(server.stderr.take().unwrap());
    let mut lines =
        log.lines().map(|line| serde_json::from_str::<serde_json::Value>(&line.unwrap()).unwrap());
    let mut until = |message: &str| lines.find(|line| line["message"] == message).unwrap();

    let address = until("listening")["address"].as_str().unwrap().to_owned();
    assert_eq!(until("ready")["model"], MODEL);
    assert!(run(&["healthcheck", "--address", &address]).0.status.success());
    let line = until("request");
    assert_eq!(
        (&line["route"], &line["method"]),
        (&"/health/ready".into(), &"GET".into()),
        "{line}"
    );
    let pid = server.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    until("stopped");
    assert_eq!(server.wait().unwrap().code(), Some(0));
}
