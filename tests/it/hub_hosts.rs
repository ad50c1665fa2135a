//! Hubs that send their clients elsewhere: who is told the token, which redirects are followed, what is said where they lead
//! to nothing, how long a silent host is waited for.

use crate::cli::coconut;
use crate::fake_hub::Asked;
use crate::fake_hub::Content;
use crate::fake_hub::FakeHub;
use crate::fake_hub::Habit;
use crate::support::data;
use coconut::hub::config::Access;
use coconut::hub::config::Config;
use coconut::hub::config::Token;
use coconut::hub::config::Waits;
use coconut::latent::locate::Sought;
use std::fs::File;
use std::time::Duration;
use tempfile::TempDir;

const TOKEN: &str = "hf_hush";

fn content() -> Content {
    Content::default().with_folder("owner/name", "", &data("coconut-gpt2-hf"))
}

fn private() -> Content {
    Content { token: Some(TOKEN.to_owned()), ..content() }
}

/// A repository as somebody with a token asks for it, with an empty cache.
struct Asking {
    sought: Sought,
    cache: TempDir,
}

impl Asking {
    fn of(model: &str, endpoint: &str) -> Self {
        let cache = TempDir::new().unwrap();
        let hub = Config {
            endpoint: endpoint.to_owned(),
            cache: cache.path().to_owned(),
            token: Token::Given(TOKEN.to_owned()),
            access: Access::Online,
            waits: Waits { pause: Duration::ZERO, ..Waits::default() },
        };
        let sought = Sought { model: model.to_owned(), base: None, recipe: None, hub };
        Self { sought, cache }
    }

    /// All of it is here, to the last byte.
    fn succeeds(&self, case: &str) {
        let found = self.sought.locate().unwrap_or_else(|error| panic!("{case}: {error:#}"));
        for name in ["config.json", "tokenizer.json", "model.safetensors"] {
            let here = std::fs::read(found.model.join(name)).unwrap();
            assert!(here == std::fs::read(data("coconut-gpt2-hf").join(name)).unwrap(), "{name}");
        }
    }

    fn refusal(&self) -> String {
        let said = format!("{:#}", self.sought.locate().unwrap_err());
        assert!(!said.contains(TOKEN) && !said.contains("signature"), "{said}");
        said
    }
}

/// Whoever asked with a token asked the hub by its own name.
fn assert_secret(hub: &FakeHub, asked: &[Asked]) {
    let own = hub.endpoint.strip_prefix("http://").unwrap();
    assert!(!asked.is_empty());
    for asked in asked {
        assert_eq!(asked.token.is_some(), asked.host == own, "{asked:?}");
    }
}

#[test]
fn only_the_hub_is_told_the_token() {
    for bare_listing in [false, true] {
        let hub = Content { habit: Habit::Redirected, bare_listing, ..private() }.start();
        hub.change(|content| {
            content.cdn = Some(hub.alias());
            content.renamed = Some(("owner/old", "owner/name"));
        });
        Asking::of("owner/old", &hub.endpoint).succeeds("to another host");
        let asked = hub.asked();
        assert_secret(&hub, &asked);
        assert!(asked.iter().any(|asked| asked.path.starts_with("/cdn/")), "{asked:?}");
    }
    // The same host by its port is another one.
    let (hub, cdn) = (private().start(), content().start());
    hub.change(|content| {
        content.habit = Habit::Redirected;
        content.cdn = Some(cdn.endpoint.clone());
    });
    cdn.change(|content| content.cdn = Some(cdn.endpoint.clone()));
    Asking::of("owner/name", &hub.endpoint).succeeds("to another port");
    assert!(cdn.asked().iter().all(|asked| asked.token.is_none()));
}

#[test]
fn a_mirror_that_sends_on_is_as_good_as_what_it_mirrors() {
    for status in [301, 302, 303, 307, 308] {
        for habit in [Habit::Plain, Habit::Redirected] {
            let hub = Content { habit, ..content() }.start();
            let mirror = Content {
                mirror_of: Some(hub.alias()),
                redirect_status: Some(status),
                ..Content::default()
            }
            .start();
            Asking::of("owner/name", &mirror.endpoint).succeeds(&format!("{status}"));
            assert!(hub.asked().iter().all(|asked| asked.token.is_none()), "{status}");
            assert!(mirror.asked().iter().all(|asked| asked.token.is_some()), "{status}");
        }
    }
}

#[test]
fn a_renamed_repository_keeps_its_token() {
    for status in [301, 302, 303, 307, 308] {
        let hub = private().start();
        hub.change(|content| {
            content.renamed = Some(("owner/old", "owner/name"));
            content.redirect_status = Some(status);
        });
        Asking::of("owner/old", &hub.endpoint).succeeds(&format!("{status}"));
        assert_secret(&hub, &hub.asked());
    }
}

#[test]
fn redirects_that_lead_nowhere_are_said_to_be_redirects() {
    let circle = content().start();
    circle.change(|content| content.renamed = Some(("owner/name", "owner/name")));
    let said = Asking::of("owner/name", &circle.endpoint).refusal();
    assert!(
        said.contains("redirected more than 10 times") && said.contains("owner/name"),
        "{said}"
    );
    for (to, named) in [("ftp://x/", "no web address"), ("", "more than 10 times")] {
        let mirror = Content { mirror_of: Some(to.to_owned()), ..Content::default() }.start();
        let said = Asking::of("owner/name", &mirror.endpoint).refusal();
        assert!(said.contains("redirect") && said.contains(named), "{said}");
    }
    // What is private is so at the other hub too, and the token is not for it.
    let hub = private().start();
    let mirror = Content { mirror_of: Some(hub.alias()), ..Content::default() }.start();
    let said = Asking::of("owner/name", &mirror.endpoint).refusal();
    assert!(
        said.contains(&hub.alias()) && said.contains("redirects") && said.contains("401"),
        "{said}"
    );
    // And of a file alone.
    let cdn = Content::default().start();
    let hub = Content { habit: Habit::Redirected, ..private() }.start();
    hub.change(|content| content.cdn = Some(cdn.alias()));
    let said = Asking::of("owner/name", &hub.endpoint).refusal();
    assert!(said.contains("config.json of owner/name") && said.contains("redirects"), "{said}");
}

#[test]
fn endpoints_and_tokens_that_cannot_be_used_are_refused_by_name() {
    for endpoint in ["huggingface.co", "ftp://huggingface.co", "http://me:hf_hush@127.0.0.1", ""] {
        let said = Asking::of("owner/name", endpoint).refusal();
        assert!(said.contains("HF_ENDPOINT"), "{endpoint}: {said}");
    }
    let mut asking = Asking::of("owner/name", "http://127.0.0.1:1");
    asking.sought.hub.token = Token::Given("hf_hush\u{7f}".to_owned());
    assert!(asking.refusal().contains("HF_TOKEN"), "{}", asking.refusal());
}

#[test]
fn a_host_that_falls_silent_is_left() {
    let hub = Content { habit: Habit::Silent, ..content() }.start();
    hub.change(|content| content.broken = Some((".safetensors", 2)));
    let mut asking = Asking::of("owner/name", &hub.endpoint);
    asking.sought.hub.waits.silence = Duration::from_millis(100);
    asking.succeeds("silence in the middle");
    // One that accepts connections and says nothing at all.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut asking = Asking::of("owner/name", &format!("http://{}", mute.local_addr().unwrap()));
    asking.sought.hub.waits.answer = Duration::from_millis(100);
    assert!(asking.refusal().contains("cannot be reached"), "{}", asking.refusal());
}

/// As `huggingface_hub` holds a file while it downloads it.
#[test]
fn another_process_is_waited_for_as_long_as_it_gets_on() {
    let hub = content().start();
    let mut asking = Asking::of("owner/name", &hub.endpoint);
    asking.sought.hub.waits.other = Duration::ZERO;
    asking.succeeds("nobody else");
    let locks = asking.cache.path().join(".locks/models--owner--name");
    let blobs = asking.cache.path().join("models--owner--name/blobs");
    let held: Vec<File> = std::fs::read_dir(locks)
        .unwrap()
        .map(|entry| {
            let file = File::open(entry.unwrap().path()).unwrap();
            file.lock().unwrap();
            file
        })
        .collect();
    assert_eq!(held.len(), 3, "one lock a file");
    std::fs::remove_dir_all(blobs).unwrap();
    let said = asking.refusal();
    assert!(said.contains("another process") && said.contains(".lock"), "{said}");
    drop(held);
    asking.succeeds("given back");
}

#[test]
fn names_that_addresses_do_not_have_are_escaped() {
    let file = std::fs::read(data("coconut-gpt2-hf").join("model.safetensors")).unwrap();
    let hub = Content::default().with("owner/name", "a b/checkpoint_1", file).start();
    let said = Asking::of("owner/name", &hub.endpoint).refusal();
    assert!(said.contains("404"), "the fake one does not decode: {said}");
    let asked = hub.requests();
    assert!(asked.iter().any(|path| path.contains("/a%20b/checkpoint_1")), "{asked:?}");
}

/// At every level of the log, in every error. It is short: a dump of bytes has sixteen in a row.
#[test]
fn the_token_is_written_nowhere() {
    let hub = Content { habit: Habit::Redirected, ..private() }.start();
    hub.change(|content| {
        content.cdn = Some(hub.alias());
        content.wrong_checksums = true;
    });
    let cache = TempDir::new().unwrap();
    let output = coconut(&["serve", "--listen", "127.0.0.1:0", "--log-level"])
        .args(["trace,ureq_proto::util=trace", "--model", "owner/name"])
        .env("HF_ENDPOINT", &hub.endpoint)
        .env("HF_HOME", cache.path())
        .env("HF_TOKEN", format!("{TOKEN}\n"))
        .env_remove("HF_HUB_OFFLINE")
        .output()
        .unwrap();
    assert_secret(&hub, &hub.asked());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("SHA-256") && said.contains("DEBUG ureq"), "{said}");
    assert!(!said.contains(TOKEN), "the token is in the log");
}
