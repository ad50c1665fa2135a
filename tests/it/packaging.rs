//! The files around the code agree with the code: the same version, the same toolchain, the same checks.

use std::fs;

#[test]
fn the_image_is_built_with_the_pinned_toolchain() {
    let pinned = value_of("rust-toolchain.toml", "channel = ");
    assert_eq!(value_of("Dockerfile", "ARG RUST_VERSION="), pinned);
    let minimum = value_of("Cargo.toml", "rust-version = ");
    assert!(pinned.starts_with(&minimum), "Cargo.toml asks for {minimum}, rust-toolchain.toml pins {pinned}");
}

#[test]
fn the_image_carries_the_version_of_the_package() {
    assert_eq!(value_of("Dockerfile", "ARG VERSION="), env!("CARGO_PKG_VERSION"));
}

#[test]
fn hosted_checks_are_the_local_ones() {
    let workflow = read(".github/workflows/ci.yml");
    assert!(workflow.contains("run: bash .ci/run"));
    assert!(read("justfile").contains("bash .ci/run"));
}

// ===== helpers =====

fn read(path: &str) -> String {
    let full = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(full).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What follows `key` on the first line that begins with it, without quotes.
fn value_of(path: &str, key: &str) -> String {
    let text = read(path);
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.unwrap_or_else(|| panic!("{path} has no line `{key}…`")).trim_matches('"').to_owned()
}
