//! Flags that several commands share, each declared once: which checkpoint, which hub, which engine.

use crate::cli::compute::ComputeArgs;
use crate::cli::counts::count;
use crate::cli::counts::setting;
use crate::cli::secret::Secret;
use crate::cli::telemetry;
use crate::cli::telemetry::LogFormat;
use crate::engine::config::EngineConfig;
use crate::engine::config::KvBudget;
use crate::engine::config::PrefixCache;
use crate::hub::config::Access;
use crate::hub::config::Config;
use crate::hub::config::Token;
use crate::hub::config::Waits;
use crate::latent::built_in;
use crate::latent::built_in::BuiltIn;
use crate::latent::checkpoint::Location;
use crate::latent::locate::Sought;
use crate::text::units::parse_bytes;
use anyhow::Context as _;
use clap::Args;
use clap::builder::FalseyValueParser;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser;
use std::path::Path;
use std::path::PathBuf;

/// KV memory where no flag says how much, in bytes.
const DEFAULT_KV_BYTES: usize = 1 << 30;

/// Which checkpoint.
#[derive(Debug, Args)]
pub(crate) struct ModelArgs {
    /// The checkpoint: its folder, a file with its weights, or its id on the hub: owner/name[/folder][@revision]. Any
    /// published layout. [default: the one inside this program, a small model that answers ProsQA's questions]
    #[arg(long, env = "COCONUT_MODEL", value_name = "PATH|ID")]
    model: Option<String>,
    /// The base model's config.json, tokenizer.json or both, for checkpoints that lack their own: a folder or an id.
    /// [default: known for published ids]
    #[arg(hide_short_help = true, long, env = "COCONUT_BASE", value_name = "PATH|ID")]
    base: Option<String>,
    /// A manifest (coconut.json) to use instead of what is found.
    #[arg(hide_short_help = true, long, env = "COCONUT_RECIPE", value_name = "FILE")]
    recipe: Option<PathBuf>,
}

/// Where models named by id come from. The variables are those of other tools that use the hub.
#[derive(Debug, Args)]
pub(crate) struct HubArgs {
    /// The hub to ask for models named by id.
    #[arg(
        hide_short_help = true,
        long,
        env = "HF_ENDPOINT",
        value_name = "URL",
        default_value = "https://huggingface.co"
    )]
    hf_endpoint: String,
    /// Folder with the cache of downloads (hub/) and the token. [default: ~/.cache/huggingface]
    #[arg(hide_short_help = true, long, env = "HF_HOME", value_name = "FOLDER")]
    hf_home: Option<PathBuf>,
    /// Folder with the cache of downloads, where it is not hub/ in the former.
    #[arg(hide_short_help = true, long, env = "HF_HUB_CACHE", value_name = "FOLDER")]
    hf_hub_cache: Option<PathBuf>,
    /// Token for private and gated models. Prefer the variable or the file: other users of the machine can see flags.
    #[arg(
        hide_short_help = true,
        long,
        env = "HF_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    hf_token: Option<Secret>,
    /// File with the token. [default: token in the folder of --hf-home]
    #[arg(hide_short_help = true, long, env = "HF_TOKEN_PATH", value_name = "FILE")]
    hf_token_path: Option<PathBuf>,
    /// Do not ask the hub: use what is in the cache.
    #[arg(hide_short_help = true, long, env = "HF_HUB_OFFLINE", value_parser = FalseyValueParser::new())]
    offline: bool,
}

/// How the checkpoint is run.
#[derive(Debug, Args)]
pub(crate) struct EngineArgs {
    /// Most requests computed at the same time. More share each step's cost, and each waits a little longer.
    #[arg(hide_short_help = true, long, env = "COCONUT_MAX_RUNNING", value_name = "N", default_value = "32", value_parser = setting())]
    max_running: usize,
    /// Most requests waiting; the next one is refused with 429 and the time to come back.
    #[arg(hide_short_help = true, long, env = "COCONUT_MAX_QUEUED", value_name = "N", default_value = "256", value_parser = setting())]
    max_queued: usize,
    /// Most positions computed in one step. Long prompts are read in pieces of this size: smaller pieces delay running
    /// requests less, larger ones read prompts faster.
    #[arg(hide_short_help = true, long, env = "COCONUT_ROWS_PER_STEP", value_name = "N", default_value = "256", value_parser = setting())]
    rows_per_step: usize,
    /// Memory for keys and values, such as 512MiB or 4GiB; it bounds how many requests run together. [default: 1GiB]
    #[arg(hide_short_help = true, long, env = "COCONUT_KV_MEMORY", value_name = "BYTES", value_parser = parse_bytes, conflicts_with = "kv_positions")]
    kv_memory: Option<usize>,
    /// The same as a number of positions (prompt, thoughts and answer of all running requests).
    #[arg(hide_short_help = true, long, env = "COCONUT_KV_POSITIONS", value_name = "N", value_parser = count(1..=u32::MAX as usize))]
    kv_positions: Option<usize>,
    /// Compute prompts and thoughts once for all requests that have them in common. Answers stay the same but for
    /// rounding; clients can tell from times and counts whether somebody asked the same before.
    #[arg(hide_short_help = true, long, env = "COCONUT_PREFIX_CACHE", value_name = "on|off", default_value = "on", value_parser = prefix_cache(), hide_possible_values = true)]
    prefix_cache: PrefixCache,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
}

fn prefix_cache() -> impl TypedValueParser<Value = PrefixCache> {
    PossibleValuesParser::new(["on", "off"]).map(|value| match value.as_str() {
        "off" => PrefixCache::Off,
        _ => PrefixCache::On,
    })
}

impl ModelArgs {
    /// What is asked for; nothing is looked for yet. The default checkpoint is there for as long as the second is kept.
    pub(crate) fn sought(self, hub: &HubArgs) -> anyhow::Result<(Sought, Option<BuiltIn>)> {
        let (base, recipe, hub) = (self.base, self.recipe, hub.config());
        let (model, built_in) = match self.model {
            Some(model) => (model, None),
            None => {
                tracing::info!("no --model: taking the default checkpoint, {}", built_in::NAME);
                let built_in = BuiltIn::lay_out(&std::env::temp_dir())?;
                (built_in.path().to_string_lossy().into_owned(), Some(built_in))
            }
        };
        Ok((Sought { model, base, recipe, hub }, built_in))
    }
}

impl HubArgs {
    fn config(&self) -> Config {
        let home = match &self.hf_home {
            Some(home) => Some(home.clone()),
            None => caches().map(|caches| caches.join("huggingface")),
        };
        let cache = self.hf_hub_cache.clone();
        let cache = cache.or_else(|| home.as_deref().map(|home| home.join("hub")));
        Config {
            endpoint: self.hf_endpoint.trim_end_matches('/').to_owned(),
            // Only an id needs it; a process without a home may still serve a folder.
            cache: cache.unwrap_or_else(|| std::env::temp_dir().join("huggingface/hub")),
            token: self.token(home.as_deref()),
            access: if self.offline { Access::Offline } else { Access::Online },
            waits: Waits::default(),
        }
    }

    /// The token, or the file in which it is: that is read when the hub is asked, since whoever serves a folder needs none.
    fn token(&self, home: Option<&Path>) -> Token {
        let given = self.hf_token.as_ref().and_then(|token| Token::given(token.text()));
        given.unwrap_or_else(|| match (&self.hf_token_path, home) {
            (Some(path), _) => Token::Named(path.clone()),
            (None, Some(home)) => Token::Usual(home.join("token")),
            (None, None) => Token::Absent,
        })
    }
}

/// Where this user's caches are.
fn caches() -> Option<PathBuf> {
    let named = std::env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty());
    named.map(PathBuf::from).or_else(|| Some(std::env::home_dir()?.join(".cache")))
}

impl EngineArgs {
    /// The engine's settings.
    pub(crate) fn config(&self) -> EngineConfig {
        let kv = match self.kv_positions {
            Some(positions) => KvBudget::Positions(positions),
            None => KvBudget::Bytes(self.kv_memory.unwrap_or(DEFAULT_KV_BYTES)),
        };
        EngineConfig {
            max_running: self.max_running,
            max_queued: self.max_queued,
            rows_per_step: self.rows_per_step,
            kv,
            prefix_cache: self.prefix_cache,
            ..EngineConfig::default()
        }
    }
}

/// The checkpoint's files, and what keeps the default ones; what is downloaded is told on standard error.
pub(crate) fn located(
    model: ModelArgs,
    hub: &HubArgs,
) -> anyhow::Result<(Location, Option<BuiltIn>)> {
    found(model, hub, "info")
}

/// The same, without a word but about downloads: the command's own output is for people.
pub(crate) fn located_quietly(
    model: ModelArgs,
    hub: &HubArgs,
) -> anyhow::Result<(Location, Option<BuiltIn>)> {
    found(model, hub, "warn,coconut::hub=info")
}

fn found(
    model: ModelArgs,
    hub: &HubArgs,
    log_level: &str,
) -> anyhow::Result<(Location, Option<BuiltIn>)> {
    telemetry::init(LogFormat::Text, log_level)?;
    let (sought, built_in) = model.sought(hub)?;
    Ok((sought.locate().context("cannot find the model")?, built_in))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        hub: HubArgs,
        #[command(flatten)]
        engine: EngineArgs,
    }

    fn flags(words: &[&str]) -> Flags {
        Flags::try_parse_from(["x"].iter().chain(words)).unwrap()
    }

    #[test]
    fn the_defaults_are_those_of_the_engine() {
        assert_eq!(flags(&[]).engine.config(), EngineConfig::default());
    }

    #[test]
    fn the_token_is_given_or_lies_in_a_file() {
        let home = tempfile::TempDir::new().unwrap();
        let home = home.path().to_str().unwrap();
        let config = |words: &[&str]| {
            let words: Vec<&str> = ["--hf-home", home].iter().chain(words).copied().collect();
            flags(&words).hub.config()
        };
        let token = |words: &[&str]| config(words).token.read().unwrap();
        for none in ["", " \n", "\u{feff}"] {
            assert_eq!(token(&["--hf-token", none]), None, "{none:?}");
        }
        assert_eq!(token(&["--hf-token-path", "no/such/file"]), None);
        let file = Path::new(home).join("token");
        for text in ["in-the-file", "\u{feff}in-the-file\r\n", " in-the-file \n\n"] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(token(&[]).as_deref(), Some("in-the-file"), "{text:?}");
        }
        assert_eq!(token(&["--hf-token", ""]).as_deref(), Some("in-the-file"));
        assert_eq!(token(&["--hf-token", " given\n"]).as_deref(), Some("given"));
        let named = ["--hf-token-path", file.to_str().unwrap()];
        assert_eq!(token(&named).as_deref(), Some("in-the-file"));
        // Only whoever asks the hub hears of it.
        let unreadable = config(&["--hf-token-path", home]).token.read().unwrap_err();
        assert!(unreadable.to_string().contains(home), "a folder is no file: {unreadable}");
        let config = config(&["--offline", "--hf-token", "given"]);
        assert_eq!(config.cache, Path::new(home).join("hub"));
        assert_eq!(config.access, Access::Offline);
        assert!(!format!("{config:?}").contains("given"), "tokens are not shown");
    }
}
