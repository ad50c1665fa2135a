//! Models by their id: the real client against a hub on the loopback, from the first request to golden thoughts.

use crate::cli::coconut;
use crate::fake_hub::COMMIT;
use crate::fake_hub::Content;
use crate::fake_hub::FakeHub;
use crate::fake_hub::Habit;
use crate::support::Fixture;
use crate::support::assert_golden;
use crate::support::data;
use coconut::hub::config::Access;
use coconut::hub::config::Config;
use coconut::hub::config::Token;
use coconut::hub::config::Waits;
use coconut::latent::checkpoint::Checkpoint;
use coconut::latent::checkpoint::Location;
use coconut::latent::generate::generate;
use coconut::latent::locate::Sought;
use safetensors::SafeTensors;
use serde_json::Value;
use std::io::BufRead as _;
use std::io::BufReader;
use std::path::Path;
use std::process::Child;
use std::process::Stdio;
use std::sync::mpsc::channel;
use std::time::Duration;
use tempfile::TempDir;

const FIXTURE: &str = "coconut-gpt2-hf";

/// A hub with one fixture as `owner/name`, and an empty cache.
fn content() -> Content {
    Content::default().with_folder("owner/name", "", &data(FIXTURE))
}

fn sought(model: &str, endpoint: &str, cache: &TempDir) -> Sought {
    let hub = Config {
        endpoint: endpoint.to_owned(),
        cache: cache.path().join("hub"),
        token: Token::Absent,
        access: Access::Online,
        waits: Waits { pause: Duration::ZERO, ..Waits::default() },
    };
    Sought { model: model.to_owned(), base: None, recipe: None, hub }
}

fn offline(model: &str, cache: &TempDir) -> Sought {
    let mut sought = sought(model, "http://127.0.0.1:1", cache);
    sought.hub.access = Access::Offline;
    sought
}

fn refusal(sought: &Sought) -> String {
    format!("{:#}", sought.locate().unwrap_err())
}

/// The first case gives the golden numbers.
fn assert_works(location: &Location, fixture: &str) {
    let checkpoint = Checkpoint::open(location).unwrap();
    let model = checkpoint.model(&candle_core::Device::Cpu).unwrap();
    let local = Fixture::load(fixture);
    let case = &local.expected.cases[0];
    let generated = generate(&model, &local.program(case)).unwrap();
    assert_golden(case, &generated.thoughts, &generated.first_logits, &generated.ids);
    assert_eq!(checkpoint.recipe, local.recipe);
}

/// An adapter and the base model that its `adapter_config.json` names, both on the hub.
#[test]
fn an_adapter_comes_with_its_base_model() {
    let (adapter, base) = (data("peft/gpt2-all-linear"), data("peft/base-gpt2"));
    let config = std::fs::read_to_string(adapter.join("adapter_config.json")).unwrap();
    let named = |base: &str| {
        let mut config: Value = serde_json::from_str(&config).unwrap();
        config["base_model_name_or_path"] = Value::from(base);
        config.to_string().into_bytes()
    };
    let hub = Content::default()
        .with_folder("owner/adapter", "", &adapter)
        .with("owner/adapter", "adapter_config.json", named("owner/base"))
        .with_folder("owner/sly", "", &adapter)
        .with("owner/sly", "adapter_config.json", named(base.to_str().unwrap()))
        .with_folder("owner/base", "", &base);
    let (hub, cache) = (hub.start(), TempDir::new().unwrap());
    let located = sought("owner/adapter", &hub.endpoint, &cache).locate().unwrap();
    let fixture = Fixture::open(&located, "peft/gpt2-all-linear");
    let case = &fixture.expected.cases[0];
    let generated = generate(&fixture.model, &fixture.program(case)).unwrap();
    assert_golden(case, &generated.thoughts, &generated.first_logits, &generated.ids);
    // What lies on the hub names no folder of this machine.
    let located = sought("owner/sly", &hub.endpoint, &cache).locate().unwrap();
    assert_eq!(located.base, None);
    // A local adapter may name an id.
    let local = TempDir::new().unwrap();
    std::fs::copy(
        adapter.join("adapter_model.safetensors"),
        local.path().join("adapter_model.safetensors"),
    )
    .unwrap();
    std::fs::write(local.path().join("adapter_config.json"), named("owner/base")).unwrap();
    let located = sought(local.path().to_str().unwrap(), &hub.endpoint, &cache).locate().unwrap();
    let fixture = Fixture::open(&located, "peft/gpt2-all-linear");
    let case = &fixture.expected.cases[0];
    let generated = generate(&fixture.model, &fixture.program(case)).unwrap();
    assert_golden(case, &generated.thoughts, &generated.first_logits, &generated.ids);
}

fn files_asked(hub: &FakeHub) -> Vec<String> {
    let asked = hub.requests().into_iter().filter(|path| !path.starts_with("/api/"));
    let asked = asked.filter(|path| !path.ends_with(" 0-0"));
    let asked = asked.map(|path| path.replace("?signature=hush", ""));
    asked.map(|path| path.rsplit('/').next().unwrap().to_owned()).collect()
}

#[test]
fn a_model_is_downloaded_once_and_then_in_the_cache() {
    let (hub, cache) =
        (content().with("owner/name", "README.md", vec![7]).start(), TempDir::new().unwrap());
    let sought = sought("owner/name", &hub.endpoint, &cache);
    let location = sought.locate().unwrap();
    assert_eq!(location.id.as_deref(), Some("owner/name"));
    assert_works(&location, FIXTURE);
    // Only what is needed: not README.md and expected.json.
    assert_eq!(files_asked(&hub), ["config.json 0-", "tokenizer.json 0-", "model.safetensors 0-"]);

    assert_eq!(sought.locate().unwrap(), location);
    assert!(files_asked(&hub).is_empty(), "nothing is downloaded again");

    drop(hub);
    assert_eq!(sought.locate().unwrap(), location, "the cache has to do where the hub is gone");
    assert_eq!(offline("owner/name", &cache).locate().unwrap(), location);
    let pinned = format!("owner/name@{COMMIT}");
    assert_eq!(offline(&pinned, &cache).locate().unwrap(), location);
}

#[test]
fn a_path_that_exists_is_no_id() {
    let cache = TempDir::new().unwrap();
    let path = "tests/data/coconut-gpt2-hf";
    let location = offline(path, &cache).locate().unwrap();
    assert_eq!((location.model.as_path(), location.id), (Path::new(path), None));
}

#[test]
fn what_is_private_is_denied_without_a_token() {
    let (hub, cache) = (content().start(), TempDir::new().unwrap());
    hub.change(|content| content.token = Some("secret".to_owned()));
    let mut sought = sought("owner/name", &hub.endpoint, &cache);
    let said = refusal(&sought);
    assert!(
        said.contains("owner/name") && said.contains("401") && said.contains("HF_TOKEN"),
        "{said}"
    );
    sought.hub.token = Token::Given("secret".to_owned());
    assert_works(&sought.locate().unwrap(), FIXTURE);
}

#[test]
fn what_is_not_there_is_named() {
    let (hub, cache) = (content().start(), TempDir::new().unwrap());
    for (id, named) in [
        ("owner/other", "owner/other"),
        ("owner/name@v2", "owner/name@v2"),
        ("owner/name/folder", "config.json, expected.json, model.safetensors"),
    ] {
        let said = refusal(&sought(id, &hub.endpoint, &cache));
        assert!(said.contains(named), "{id}: {said}");
    }
    let said = refusal(&offline("owner/name", &cache));
    assert!(said.contains("owner/name") && said.contains("--offline"), "{said}");
    let gone = sought("owner/name", "http://127.0.0.1:1", &cache);
    assert!(refusal(&gone).contains("cannot be reached"), "{}", refusal(&gone));
    // The listing names it, and it is deleted before it is downloaded.
    hub.change(|content| content.renamed = Some(("resolve/", "nowhere/")));
    let said = refusal(&sought("owner/name", &hub.endpoint, &cache));
    assert!(said.contains("config.json of owner/name") && said.contains("404"), "{said}");
}

#[test]
fn a_download_that_breaks_off_goes_on_where_it_ended() {
    for habit in [Habit::Plain, Habit::Unmeasured, Habit::Redirected] {
        let (hub, cache) = (content().start(), TempDir::new().unwrap());
        hub.change(|content| {
            content.broken = Some((".safetensors", 2));
            content.habit = habit;
        });
        let location = sought("owner/name", &hub.endpoint, &cache).locate().unwrap();
        assert_works(&location, FIXTURE);
        let size = std::fs::metadata(data(FIXTURE).join("model.safetensors")).unwrap().len();
        let mut asked = files_asked(&hub);
        asked.dedup();
        let from = |start: u64| format!("model.safetensors {start}-");
        assert_eq!(asked[2..], [from(0), from(size / 2), from(size / 2 + size / 4)]);
    }
}

#[test]
fn what_never_arrives_whole_is_never_loaded() {
    let (hub, cache) = (content().start(), TempDir::new().unwrap());
    let sought = sought("owner/name", &hub.endpoint, &cache);
    for habit in [Habit::Forgetful, Habit::Stuck] {
        hub.change(|content| {
            content.broken = Some(("tokenizer.json", usize::MAX));
            content.habit = habit;
        });
        let said = refusal(&sought);
        assert!(said.contains("tokenizer.json of owner/name: only "), "{said}");
        assert!(refusal(&offline("owner/name", &cache)).contains("--offline"));
    }
    hub.change(|content| *content = self::content());
    assert_works(&sought.locate().unwrap(), FIXTURE);
}

#[test]
fn a_file_that_is_too_short_in_the_cache_is_completed() {
    let (hub, cache) = (content().start(), TempDir::new().unwrap());
    let sought = sought("owner/name", &hub.endpoint, &cache);
    let weights = sought.locate().unwrap().model.join("model.safetensors");
    let whole = std::fs::read(&weights).unwrap();
    let blob = std::fs::canonicalize(&weights).unwrap();
    std::fs::write(&blob, &whole[..1000]).unwrap();
    hub.requests();
    sought.locate().unwrap();
    assert_eq!(files_asked(&hub), ["model.safetensors 1000-"]);
    assert_eq!(std::fs::read(&weights).unwrap(), whole);
    // What is left of a file that is complete, or of more than that, is no beginning.
    for left in [whole.len(), whole.len() + 1] {
        let mut part = whole.clone();
        part.resize(left, 0);
        std::fs::remove_file(&blob).unwrap();
        std::fs::write(blob.with_extension("incomplete"), part).unwrap();
        sought.locate().unwrap();
        assert_eq!(std::fs::read(&weights).unwrap(), whole);
    }
}

#[test]
fn a_file_with_another_checksum_is_thrown_away() {
    let (hub, cache) = (content().start(), TempDir::new().unwrap());
    hub.change(|content| content.wrong_checksums = true);
    let said = refusal(&sought("owner/name", &hub.endpoint, &cache));
    assert!(said.contains("SHA-256") && said.contains("model.safetensors"), "{said}");
    let said = refusal(&offline(&format!("owner/name@{COMMIT}"), &cache));
    assert!(said.contains("no model.safetensors"), "{said}");
}

#[test]
fn a_folder_or_a_file_of_a_repository_is_a_checkpoint() {
    let raw = data("coconut-gpt2-meta");
    let content = Content::default()
        .with_folder("owner/many", "one/", &raw)
        .with_folder("owner/many", "two/", &raw)
        .with("owner/many", "two/checkpoint_9", std::fs::read(raw.join("checkpoint_5")).unwrap())
        .with_folder("owner/single", "deep/down/", &raw);
    let (hub, cache) = (content.start(), TempDir::new().unwrap());
    let sought = |id: &str| sought(id, &hub.endpoint, &cache);
    let said = refusal(&sought("owner/many"));
    assert!(said.contains("one, two/checkpoint_5, two/checkpoint_9"), "{said}");
    assert!(said.contains("such as owner/many/one"), "{said}");
    for id in ["owner/many/one", "owner/many/two/checkpoint_9", "owner/single"] {
        assert_works(&sought(id).locate().unwrap(), "coconut-gpt2-meta");
    }
    assert!(refusal(&sought("owner/many/two")).contains("several"));
}

#[test]
fn shards_come_with_their_index() {
    let folder = TempDir::new().unwrap();
    let file = std::fs::read(data(FIXTURE).join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    let mut map = serde_json::Map::new();
    for (index, shard) in names.iter().enumerate() {
        let part: Vec<_> = tensors.tensors().into_iter().skip(index).step_by(2).collect();
        map.extend(part.iter().map(|(name, _)| (name.clone(), (*shard).into())));
        safetensors::serialize_to_file(part, None, &folder.path().join(shard)).unwrap();
    }
    let index = serde_json::json!({ "weight_map": map }).to_string();
    std::fs::write(folder.path().join("model.safetensors.index.json"), index).unwrap();
    for name in ["config.json", "tokenizer.json"] {
        std::fs::copy(data(FIXTURE).join(name), folder.path().join(name)).unwrap();
    }
    let hub = Content::default().with_folder("owner/sharded", "", folder.path()).start();
    let cache = TempDir::new().unwrap();
    assert_works(&sought("owner/sharded", &hub.endpoint, &cache).locate().unwrap(), FIXTURE);
}

/// As SIM-CoT is published: an empty config.json, no tokenizer; the table knows the base model.
/// One of the two at the top of the repository, or there and empty beside the weights.
#[test]
fn one_file_alone_comes_from_elsewhere_too() {
    let raw = data("simcot-gpt2-meta");
    let file = |name: &str| std::fs::read(raw.join(name)).unwrap();
    let published = "internlm/SIM_COT-GPT2-Coconut";
    let content = Content::default()
        .with("someone/runs", "run/checkpoint_28", file("checkpoint_28"))
        .with("someone/runs", "run/config.json", file("config.json"))
        .with("someone/runs", "tokenizer.json", file("tokenizer.json"))
        .with(published, "checkpoint_28", file("checkpoint_28"))
        .with(published, "config.json", Vec::new())
        .with(published, "tokenizer.json", file("tokenizer.json"))
        .with("openai-community/gpt2", "config.json", file("config.json"));
    let (hub, cache) = (content.start(), TempDir::new().unwrap());
    for id in ["someone/runs", published] {
        let location = sought(id, &hub.endpoint, &cache).locate().unwrap();
        assert_works(&location, "simcot-gpt2-meta");
    }
}

#[test]
fn config_and_tokenizer_come_from_the_base_model() {
    let raw = data("simcot-gpt2-meta");
    let weights = std::fs::read(raw.join("checkpoint_28")).unwrap();
    let published = "internlm/SIM_COT-GPT2-Coconut";
    let content = Content::default()
        .with(published, "checkpoint_28", weights.clone())
        .with(published, "config.json", Vec::new())
        .with("someone/simcot", "checkpoint_28", weights)
        .with_folder("openai-community/gpt2", "", &raw);
    let (hub, cache) = (content.start(), TempDir::new().unwrap());
    let sought = |id: &str| sought(id, &hub.endpoint, &cache);
    let location = sought(published).locate().unwrap();
    assert_works(&location, "simcot-gpt2-meta");
    assert!(!files_asked(&hub).iter().any(|name| name.starts_with("checkpoint_28 0-0")));
    let named =
        Sought { base: Some("openai-community/gpt2".to_owned()), ..sought("someone/simcot") };
    assert_works(&named.locate().unwrap(), "simcot-gpt2-meta");
    let folder =
        Sought { base: Some(raw.to_str().unwrap().to_owned()), ..sought("someone/simcot") };
    assert_works(&folder.locate().unwrap(), "simcot-gpt2-meta");
    hub.change(|content| content.files.retain(|(name, _), _| name != "openai-community/gpt2"));
    let (fresh, said) = (TempDir::new().unwrap(), "of its base model openai-community/gpt2");
    let lacking = self::sought(published, &hub.endpoint, &fresh);
    assert!(refusal(&lacking).contains(said), "{}", refusal(&lacking));
}

/// The server is alive from the start, and ready once the model is here; the second start needs no hub.
#[test]
fn a_server_downloads_before_it_is_ready() {
    let (release, held) = channel();
    let (hub, cache) = (Content { held: Some(held), ..content() }.start(), TempDir::new().unwrap());
    let start = |endpoint: &str| {
        let mut server = coconut(&["serve", "--listen", "127.0.0.1:0", "--log-format", "json"])
            .args(["--model", "owner/name"])
            .env("HF_ENDPOINT", endpoint)
            .env("HF_HOME", cache.path())
            .env_remove("HF_HUB_OFFLINE")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(server.stderr.take().unwrap()).lines();
        let log = log.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
        (server, log)
    };
    let end = |mut server: Child| {
        server.kill().unwrap();
        server.wait().unwrap();
    };

    let (server, mut log) = start(&hub.endpoint);
    let mut until = |message: &str| log.find(|line| line["message"] == message).unwrap();
    let address = until("listening")["address"].as_str().unwrap().to_owned();
    let health = |path: &str| get(&format!("http://{address}/health/{path}"));
    while until("downloading")["file"] != "model.safetensors" {}
    assert_eq!((health("live"), health("ready")), (200, 503));
    drop(release);
    assert_eq!(until("ready")["model"], "owner/name", "its id is its name");
    assert_eq!(health("ready"), 200);
    end(server);

    drop(hub);
    let (server, mut log) = start("http://127.0.0.1:1");
    let mut until = |message: &str| log.find(|line| line["message"] == message).unwrap();
    assert_eq!(until("using the cache")["level"], "WARN");
    until("ready");
    end(server);
}

fn get(url: &str) -> u16 {
    match ureq::get(url).call() {
        Ok(response) => response.status().as_u16(),
        Err(ureq::Error::StatusCode(status)) => status,
        Err(error) => panic!("{error}"),
    }
}
