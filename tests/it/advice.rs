//! Errors of the command line say what to do next: each here is provoked as users do, and its last line is a way out.

use crate::cli::coconut;
use std::path::Path;
use tempfile::TempDir;

/// A folder in which commands go wrong.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("broken.json", "{");
    write("none.json", r#"[{"q": 1}]"#);
    write("q.jsonl", r#"{"question": "Is Tom a lempus?", "answer": "x"}"#);
    std::fs::create_dir(folder.path().join("full")).unwrap();
    write("full/x", "");
    folder
}

/// The exit code and standard error's last line.
fn ended(at: &Path, line: &str) -> (Option<i32>, String) {
    let words: Vec<&str> = line.split(' ').collect();
    let output = coconut(&words).current_dir(at).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), said.lines().last().unwrap_or_default().to_owned())
}

#[test]
fn each_error_ends_with_what_to_do() {
    let folder = folder();
    // Nobody listens on what was bound and dropped.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (line, next) in [
        ("serve --listen 127.0.0.1:0 --model ./nowhere", "next:  look at the path"),
        ("serve --listen 127.0.0.1:0 --kv-memory 1KiB", "next:  allow more with --kv-memory"),
        ("serve --listen 127.0.0.1:0 --thought-means q.jsonl", "next:  `coconut probe` writes"),
        ("serve --listen 192.0.2.1:80", "next:  --listen takes an address of this machine"),
        ("serve --protect-metrics", "add --api-keys-file"),
        ("serve --model owner/name --listen 127.0.0.1:0", "next:  go online once"),
        ("inspect --model broken.json", "next:  --model takes a folder"),
        ("inspect --recipe broken.json", "next:  look at that file"),
        ("convert --out full", "next:  name a new folder with --out"),
        ("eval --data nowhere.json", "next:  look at the path"),
        ("eval --data none.json", "next:  --help-all says which forms"),
        ("eval --data q.jsonl --latent-steps 99", "next:  ask for fewer with --latent-steps"),
        ("eval --data q.jsonl --feedback mean", "needs --thought-means"),
        ("eval --data q.jsonl --url http://NOBODY", "next:  start a server there"),
        ("bench --data q.jsonl --requests 1 --url http://NOBODY", "nobody listens at --url"),
        ("probe --data q.jsonl --out nowhere/x", "next:  look at the path"),
        ("reason --file broken.json", "next:  --help-all says which forms"),
        ("reason x --feedback mean", "needs --thought-means"),
        ("train --config nowhere.toml", "next:  look at the path"),
        ("generate-data prosqa --count 1 --nodes 1 --out x", "next:  allow more --nodes"),
        ("generate-data multiplication --digits 1 --count 1000 --out x", "ask for fewer"),
        ("generate-data gsm8k-aug --from none.json --out x", "next:  --help-all says which forms"),
        ("openapi --out nowhere/x", "next:  look at the path"),
        ("healthcheck --address NOBODY", "next:  start a server there"),
    ] {
        let (code, said) = ended(folder.path(), &line.replace("NOBODY", &nobody.to_string()));
        assert_eq!(code, Some(1), "{line}: {said}");
        assert!(said.contains(next), "{line}: {said}");
    }
}

#[test]
fn an_address_that_is_taken_is_told_with_a_way_out() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let (code, said) = ended(Path::new("."), &format!("serve --listen {address}"));
    assert_eq!(code, Some(1));
    assert!(said.contains("next:  another program listens there"), "{said}");
}
