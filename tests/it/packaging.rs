//! The files around the code agree with the code: the same version, the same toolchain, the same checks.

use coconut::latent::built_in;
use coconut::metrics::Metrics;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const IMAGES: &[&str] = &["Dockerfile", "docker/Dockerfile.cuda"];

#[test]
fn the_image_is_built_with_the_pinned_toolchain() {
    let pinned = value_of("rust-toolchain.toml", "channel = ");
    for path in IMAGES {
        assert_eq!(value_of(path, "ARG RUST_VERSION="), pinned, "{path}");
    }
    let minimum = value_of("Cargo.toml", "rust-version = ");
    assert!(
        pinned.starts_with(&minimum),
        "Cargo.toml asks for {minimum}, rust-toolchain.toml pins {pinned}"
    );
}

#[test]
fn the_image_carries_the_version_of_the_package() {
    for path in IMAGES {
        assert_eq!(value_of(path, "ARG VERSION="), env!("CARGO_PKG_VERSION"), "{path}");
    }
}

#[test]
fn the_image_for_gpus_has_the_cuda_that_was_built_with() {
    let checked = value_of("docker/cuda-check.sh", "CUDA_VERSION=");
    let image = value_of("docker/Dockerfile.cuda", "ARG CUDA_VERSION=");
    assert!(image.starts_with(&format!("{checked}.")), "{image} in the image, {checked} checked");
}

/// `.dockerignore` keeps everything out but what it names: that must be all that the build reads.
#[test]
fn the_build_context_has_what_the_build_reads() {
    let context = read(".dockerignore");
    let patterns: Vec<&str> = context.lines().filter_map(|line| line.strip_prefix('!')).collect();
    assert!(context.lines().any(|line| line == "*"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest: toml::Value = toml::from_str(&read("Cargo.toml")).unwrap();
    let mut needed =
        vec!["Cargo.toml".to_owned(), "Cargo.lock".to_owned(), "src/main.rs".to_owned()];
    for (kind, folder) in [("bench", "benches"), ("test", "tests"), ("example", "examples")] {
        for target in manifest.get(kind).and_then(|list| list.as_array()).into_iter().flatten() {
            let path = target.get("path").and_then(|path| path.as_str()).map(str::to_owned);
            needed.push(
                path.unwrap_or_else(|| format!("{folder}/{}.rs", target["name"].as_str().unwrap())),
            );
        }
    }
    for member in manifest["workspace"]["members"].as_array().unwrap() {
        needed.extend(
            ["Cargo.toml", "src/lib.rs"].map(|file| format!("{}/{file}", member.as_str().unwrap())),
        );
    }
    needed.extend(built_in::FILES.map(|(name, _)| format!("models/prosqa/{name}")));
    for path in needed {
        assert!(root.join(&path).is_file(), "{path}");
        assert!(
            patterns.iter().any(|pattern| matches(pattern, &path)),
            "{path} is not in the context"
        );
    }
}

/// A pattern of `.dockerignore`: a file, a folder, or one `*` within a name.
fn matches(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        Some((start, end)) => {
            let middle = path.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
            middle.is_some_and(|middle| !middle.contains('/'))
        }
        None => {
            path.strip_prefix(pattern).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
    }
}

/// What is compiled and how differs in the feature; what is around it does not.
#[test]
fn the_images_are_built_alike() {
    let commands = |path: &str| -> Vec<String> {
        let text = read(path).replace("--features cuda ", "");
        let lines =
            text.lines().filter(|line| line.starts_with("RUN cargo") || line.contains("objcopy"));
        lines.map(str::to_owned).collect()
    };
    let (plain, cuda) = (commands(IMAGES[0]), commands(IMAGES[1]));
    assert_eq!(plain.iter().filter(|line| line.contains("--profile dist")).count(), 2, "{plain:?}");
    assert_eq!(plain, cuda);
}

#[test]
fn hosted_checks_are_the_local_ones() {
    let workflow = read(".github/workflows/ci.yml");
    assert!(workflow.contains("run: bash .ci/run"));
    assert!(read("justfile").contains("bash .ci/run"));
}

#[test]
fn graphs_and_alerts_show_the_metrics_that_exist() {
    let exported = exported();
    let dashboard = named_in("docker/grafana/dashboards/coconut.json");
    for (place, names) in
        [("dashboard", &dashboard), ("alerts.yml", &named_in("docker/alerts.yml"))]
    {
        let unknown: Vec<_> = names.difference(&exported).collect();
        assert!(unknown.is_empty(), "{place} names metrics that do not exist: {unknown:?}");
    }
    let missing: Vec<_> = exported.difference(&dashboard).collect();
    assert!(missing.is_empty(), "not on the dashboard: {missing:?}");
}

#[test]
fn the_variables_that_containers_set_exist() {
    let flags = ["src/cli/serve.rs", "src/cli/flags.rs", "src/cli/compute.rs"].map(read).concat();
    for path in IMAGES.iter().copied().chain(["docker/compose.yaml"]) {
        let text = read(path);
        let words = text.split(|c: char| !c.is_ascii_uppercase() && c != '_');
        let ours = |word: &&str| word.starts_with("COCONUT_") || word.starts_with("HF_");
        for variable in words.filter(ours) {
            let declared = flags.contains(&format!("env = \"{variable}\""));
            assert!(declared, "{path} sets {variable}, which no flag reads");
        }
    }
}

/// The server's own wait is two times that it is told, and two of 5 s for what did not end by then.
#[test]
fn orchestrators_wait_longer_than_the_server() {
    let serve = read("src/cli/serve.rs");
    let k8s = read("docker/k8s/coconut.yaml");
    let compose = number_after(&read("docker/compose.yaml"), "stop_grace_period: ").unwrap();
    let kubernetes = number_after(&k8s, "terminationGracePeriodSeconds: ").unwrap();
    let [delay, grace] = ["COCONUT_DRAIN_DELAY", "COCONUT_GRACE_PERIOD"].map(|variable| {
        let declared = serve.lines().find(|line| line.contains(variable)).unwrap();
        let default = number_after(declared, "default_value = \"").unwrap();
        (default, number_after(&k8s, &format!("{variable}, value: \"")).unwrap_or(default))
    });
    assert!(compose > delay.0 + grace.0 + 10, "compose waits {compose} s");
    assert!(kubernetes > delay.1 + grace.1 + 10, "Kubernetes waits {kubernetes} s");
}

// ===== helpers =====

/// The number that stands right behind these words.
fn number_after(text: &str, words: &str) -> Option<u64> {
    let rest = &text[text.find(words)? + words.len()..];
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// The metrics of the process. Those with labels appear once a series exists.
fn exported() -> BTreeSet<String> {
    let metrics = Metrics::new();
    metrics.http_requests_total.with_label_values(&["/", "GET", "200"]).inc();
    metrics.http_request_seconds.with_label_values(&["/"]).observe(0.1);
    let text = metrics.encode();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// The metrics that a file names in its queries.
fn named_in(path: &str) -> BTreeSet<String> {
    let text = read(path);
    let queries = text.lines().filter(|line| line.contains("expr") || line.contains("rate("));
    let words = queries.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'));
    words
        .filter(|word| word.starts_with("coconut_"))
        .map(without_suffix)
        .map(str::to_owned)
        .collect()
}

/// A histogram's own name, where a query names its buckets, sum or count.
fn without_suffix(name: &str) -> &str {
    ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .unwrap_or(name)
}

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
