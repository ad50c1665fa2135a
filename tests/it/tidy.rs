//! The shape of the code, held by a test: layers look down only and stay ignorant of certain crates, files are short and
//! say what they are, nothing in the checkout names the machine it was written on.
//!
//! It reads text, not syntax: a re-export through `lib.rs` would get past it. So `lib.rs` has none.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

/// The layers, lowest first, and the layers each one may name.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("files", &[]),
    ("metrics", &[]),
    ("text", &["files"]),
    ("web", &["files"]),
    ("tools", &["files", "web"]),
    ("prompting", &["files", "tools"]),
    ("data", &["files", "tools"]),
    ("bench", &["data", "files", "web"]),
    ("hub", &["files", "web"]),
    ("model", &["files"]),
    ("latent", &["files", "hub", "model", "text", "tools"]),
    ("engine", &["latent", "metrics", "model"]),
    ("train", &["data", "files", "latent", "model", "text", "tools"]),
    ("reason", &["engine", "latent", "metrics", "model", "text", "tools"]),
    ("eval", &["data", "engine", "files", "latent", "prompting", "reason", "tools", "web"]),
    ("probe", &["data", "engine", "eval", "files", "latent", "reason"]),
    ("http", &["engine", "files", "latent", "metrics", "reason", "text", "tools"]),
];

/// External crates that a layer must stay ignorant of.
const MUST_NOT_NAME: &[(&str, &[&str])] = &[
    ("files", &["axum", "candle_core", "hyper", "serde_json", "tokenizers", "tokio", "utoipa"]),
    ("metrics", &["axum", "candle_core", "candle_nn", "serde_json", "tokio"]),
    ("web", &["axum", "candle_core", "candle_nn", "serde_json", "tokenizers", "tokio", "utoipa"]),
    ("tools", &["axum", "candle_core", "candle_nn", "hyper", "prometheus", "tokenizers", "utoipa"]),
    ("text", &["axum", "candle_core", "candle_nn", "prometheus", "tokio", "utoipa"]),
    ("data", &["axum", "candle_core", "candle_nn", "prometheus", "tokenizers", "tokio", "utoipa"]),
    ("hub", &["axum", "candle_core", "candle_nn", "safetensors", "tokenizers", "tokio", "utoipa"]),
    ("model", &["axum", "hyper", "prometheus", "tokenizers", "tokio", "tower", "utoipa"]),
    ("latent", &["axum", "hyper", "prometheus", "tokio", "tower", "utoipa"]),
    ("engine", &["axum", "hyper", "prometheus", "serde_json", "tokenizers", "tower", "utoipa"]),
    ("train", &["axum", "hyper", "prometheus", "tokio", "tower", "utoipa"]),
    ("reason", &["axum", "hyper", "prometheus", "serde_json", "tower", "utoipa"]),
    ("bench", &["axum", "candle_core", "candle_nn", "prometheus", "tokenizers", "utoipa"]),
    ("eval", &["axum", "candle_core", "candle_nn", "ureq", "hyper", "tokenizers", "utoipa"]),
    ("probe", &["axum", "candle_core", "candle_nn", "ureq", "hyper", "tokenizers", "utoipa"]),
    ("http", &["candle_core", "candle_nn", "candle_transformers", "safetensors", "tokenizers"]),
];

/// The most lines a Rust file may have; 150 is the aim.
const MAX_LINES: usize = 400;

/// Beginnings of paths that exist on one machine only. Split, so that this file does not name them either.
const MACHINE_PATHS: &[&str] =
    &[concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/"), concat!("/wo", "rk/")];

#[test]
fn layers_look_down_only() {
    for (layer, may_name) in MAY_NAME {
        for_each_line(layer, |place, line| {
            assert!(!line.contains("super::super::"), "{place}: name the module from `crate::`");
            for other in line.split("crate::").skip(1).map(first_word) {
                let allowed = other == *layer || may_name.contains(&other);
                assert!(allowed, "{place}: `{layer}` must not name `{other}`");
            }
        });
    }
}

/// A file that needs another is above it; what both need is below both.
#[test]
fn no_file_needs_itself() {
    for source in ["src", "crates/kernels/src", "crates/cuda/src"] {
        let needs = imports(&root().join(source));
        let circles: Vec<_> = needs.keys().filter(|module| is_reached(&needs, module)).collect();
        assert!(circles.is_empty(), "{source}: these are part of circles of imports: {circles:?}");
    }
}

/// Memory maps of files are the one exception.
#[test]
fn unsafe_code_is_in_the_kernels() {
    for path in rust_files(&["src", "tests"]) {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let count = code.filter(|line| mentions(line, concat!("uns", "afe {"))).count();
        let allowed = usize::from(path.ends_with("src/model/load/tensors.rs"));
        assert!(count <= allowed, "{}: has no place for unsafe code", path.display());
    }
}

#[test]
fn layers_keep_their_ignorance() {
    for (layer, must_not_name) in MUST_NOT_NAME {
        for_each_line(layer, |place, line| {
            for krate in *must_not_name {
                let names_it = mentions(line, &format!("{krate}::"));
                assert!(!names_it, "{place}: `{layer}` must not name `{krate}`");
            }
        });
    }
}

/// Text of others may begin with a byte order mark: whoever reads past `files` forgets it.
#[test]
fn text_is_read_in_one_place() {
    let folders = MAY_NAME.iter().map(|(layer, _)| *layer).chain(["cli"]);
    for layer in folders.filter(|layer| *layer != "files") {
        for_each_line(layer, |place, line| {
            let reads = line.contains("fs::read_to_string(") || line.contains("fs::read(");
            assert!(!reads, "{place}: read text with `files::read`");
        });
    }
}

#[test]
fn files_are_short_and_say_what_they_are() {
    for path in rust_files(&["src", "crates", "tests", "benches"]) {
        let (place, text) = (path.display(), fs::read_to_string(&path).unwrap());
        let lines = text.lines().count();
        assert!(lines <= MAX_LINES, "{place}: {lines} lines, at most {MAX_LINES}");
        assert!(text.starts_with("//!"), "{place}: open with a `//!` paragraph");
    }
}

#[test]
fn every_import_has_its_line() {
    let grouped = concat!("use crate", "::{");
    for path in rust_files(&["src", "crates", "tests", "benches"]) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(grouped), "{}: one `use crate::…` a line", path.display());
    }
}

#[test]
fn the_library_re_exports_nothing() {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    assert!(
        !text.contains("pub use"),
        "src/lib.rs: a re-export would hide a layer from these tests"
    );
}

#[test]
fn folders_have_a_mod_file() {
    for path in rust_files(&["src", "crates"]) {
        let folder = path.with_extension("");
        assert!(!folder.is_dir(), "{}: move it to {}/mod.rs", path.display(), folder.display());
    }
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    for path in committed_files() {
        // A file that is not text (weights), or that is deleted but not yet committed, has no paths to look for.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for (number, line) in text.lines().enumerate() {
            let found = MACHINE_PATHS.iter().find(|prefix| mentions(line, prefix));
            assert!(found.is_none(), "{}:{}: names {}", path.display(), number + 1, found.unwrap());
        }
    }
}

/// Packages and results that a tool left in the checkout are committed easily, and hard to take back.
#[test]
fn only_weights_are_large() {
    for path in committed_files() {
        let large = fs::metadata(&path).is_ok_and(|metadata| metadata.len() > 400 << 10);
        let expected = path.starts_with(root().join("tests/data"))
            || path.ends_with("models/prosqa/model.safetensors")
            || path.ends_with("models/prosqa-react/model.safetensors");
        assert!(expected || !large, "{}: is more than 400 KiB", path.display());
        assert!(path.extension().is_none_or(|extension| extension != "whl"), "{}", path.display());
    }
}

#[test]
fn the_map_of_the_code_is_true() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    assert!(map.lines().count() <= 280, "ARCHITECTURE.md: at most 280 lines");
    let quoted = map.split('`').skip(1).step_by(2);
    for path in quoted.filter(|quoted| quoted.starts_with("src/") || quoted.starts_with("docker/"))
    {
        assert!(root().join(path).exists(), "ARCHITECTURE.md names `{path}`, which does not exist");
    }
}

// ===== helpers =====

/// The files below a source folder by their modules, and which of the others each one names. Tests are left out.
fn imports(source: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let files = rust_files(&[source.to_str().unwrap()]);
    let module = |path: &Path| {
        let inner = path.strip_prefix(source).unwrap().with_extension("");
        let words: Vec<_> = inner.iter().map(|word| word.to_str().unwrap()).collect();
        words.join("::").trim_end_matches("mod").trim_end_matches("::").to_owned()
    };
    let modules: BTreeSet<String> = files.iter().map(|path| module(path)).collect();
    let named = |text: &str| -> Option<String> {
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
        let words: Vec<&str> = text[..end.unwrap_or(text.len())].split("::").collect();
        (1..=words.len()).rev().map(|count| words[..count].join("::")).find(|m| modules.contains(m))
    };
    let mut needs = BTreeMap::new();
    for path in files.iter().filter(|path| !is_test(path)) {
        let of = needs.entry(module(path)).or_insert_with(BTreeSet::new);
        for_each_code_line(path, |_, line| {
            of.extend(line.split("crate::").skip(1).filter_map(named));
        });
    }
    for (module, of) in &mut needs {
        of.remove(module);
    }
    needs
}

/// Whether a file is needed by what it needs.
fn is_reached(needs: &BTreeMap<String, BTreeSet<String>>, module: &str) -> bool {
    let mut open: Vec<&String> = needs[module].iter().collect();
    let mut seen = BTreeSet::new();
    while let Some(next) = open.pop() {
        if next == module {
            return true;
        }
        if seen.insert(next) {
            open.extend(needs.get(next).into_iter().flatten());
        }
    }
    false
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `pattern` in `line`, but not as the tail of a longer word or path.
fn mentions(line: &str, pattern: &str) -> bool {
    line.match_indices(pattern).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.' || c == '-')
    })
}

fn first_word(text: &str) -> &str {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}

/// Calls `check(place, line)` for the code lines of a layer: no comments, no test modules.
fn for_each_line(layer: &str, mut check: impl FnMut(&str, &str)) {
    let (file, folder) = (format!("src/{layer}.rs"), format!("src/{layer}"));
    for path in rust_files(&[&file, &folder]).iter().filter(|path| !is_test(path)) {
        for_each_code_line(path, &mut check);
    }
}

/// Stops at the file's own tests.
fn for_each_code_line(path: &Path, mut check: impl FnMut(&str, &str)) {
    let text = fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        let next = lines.get(index + 1);
        if line.trim() == "#[cfg(test)]" && next.is_some_and(|next| next.starts_with("mod tests {"))
        {
            break;
        }
        if !line.trim_start().starts_with("//") {
            check(&format!("{}:{}", path.display(), index + 1), line);
        }
    }
}

/// A test module in a file of its own: `tests.rs`, `scheduler_tests.rs`.
fn is_test(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("tests"))
}

/// All Rust files at or below these places; a place that does not exist has none.
pub fn rust_files(places: &[&str]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open: Vec<PathBuf> = places.iter().map(|place| root().join(place)).collect();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.is_file() && path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// What git tracks; nothing, with a word about it, where this is not a git checkout.
#[expect(clippy::print_stderr, reason = "a check that looked at nothing says so")]
fn committed_files() -> Vec<PathBuf> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    match listed {
        Ok(output) if output.status.success() => {
            let names = String::from_utf8(output.stdout).unwrap();
            names.split_terminator('\0').map(|name| root().join(name)).collect()
        }
        _ => {
            eprintln!("not a git checkout: the search for machine paths looked at no file");
            Vec::new()
        }
    }
}

/// A log filter that names what is not there lets nothing through.
#[test]
fn log_filters_name_modules_that_exist() {
    let mut named = 0;
    let files = Command::new("git").args(["ls-files"]).current_dir(root()).output().unwrap();
    for file in String::from_utf8(files.stdout).unwrap().lines() {
        let Ok(text) = fs::read_to_string(root().join(file)) else { continue };
        for module in text.split("coconut::").skip(1).filter_map(|rest| rest.split_once('=')) {
            let (path, level) = module;
            let is_path = path.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c == ':');
            let levels = ["error", "warn", "info", "debug", "trace"];
            if is_path && levels.iter().any(|known| level.starts_with(known)) {
                named += 1;
                let at = root().join("src").join(path.replace("::", "/"));
                assert!(
                    at.is_dir() || at.with_extension("rs").is_file(),
                    "{file}: coconut::{path}"
                );
            }
        }
    }
    assert!(named >= 2, "{named}");
}
