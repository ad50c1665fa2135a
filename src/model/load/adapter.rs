//! `adapter_config.json` as PEFT writes it: how much a low-rank pair counts, which rows were trained, what the base
//! model is. The file is untrusted: its length, its patterns and its numbers are bounded. Knows no tensor.

use crate::files;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::load::names::EMBEDDINGS;
use regex::RegexSet;
use regex::RegexSetBuilder;
use serde::Deserialize;
use serde::Deserializer;
use serde::de::MapAccess;
use serde::de::Visitor;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::marker::PhantomData;
use std::path::Path;
use std::path::PathBuf;

/// The name of the file.
pub const ADAPTER_CONFIG: &str = "adapter_config.json";
/// A file longer than this is no adapter_config.json, in bytes.
const MAX_BYTES: u64 = 1 << 20;
/// The most memory that the compiled patterns of a field may take, in bytes: a thousand take a quarter of it.
const MAX_PATTERN_BYTES: usize = 16 << 20;

/// Fields that make another computation of the same tensors, where they are set.
const VARIANTS: [&str; 11] = [
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "layer_replication",
    "lora_bias",
    "monteclora_config",
    "target_parameters",
    "use_bdlora",
    "use_dora",
    "use_qalora",
    "velora_config",
];
/// Initialisations that change the base model's own weights, so that an adapter by itself does not say the model.
const MOVES_THE_BASE: [&str; 5] = ["pissa", "corda", "olora", "loftq", "lora_ga"];

/// The fields that are read.
#[derive(Deserialize)]
struct Fields {
    peft_type: Option<String>,
    r: Option<usize>,
    lora_alpha: Option<f64>,
    #[serde(default)]
    use_rslora: Option<bool>,
    #[serde(default)]
    rank_pattern: Option<Ordered<usize>>,
    #[serde(default)]
    alpha_pattern: Option<Ordered<f64>>,
    #[serde(default)]
    modules_to_save: Option<Vec<String>>,
    #[serde(default)]
    trainable_token_indices: Option<Rows>,
    #[serde(default)]
    init_lora_weights: Option<Value>,
    #[serde(default)]
    base_model_name_or_path: Option<String>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// Which rows were trained alone: of the embedding, or of modules by name.
#[derive(Deserialize)]
#[serde(untagged)]
enum Rows {
    OfEmbedding(Vec<usize>),
    Of(BTreeMap<String, Vec<usize>>),
}

/// The pairs of a JSON object in their order, which decides between two patterns that both fit.
struct Ordered<T>(Vec<(String, T)>);

/// What modules have by their names; the first pattern that fits counts.
#[derive(Debug)]
struct Patterns<T> {
    all: RegexSet,
    values: Vec<T>,
}

/// How the pairs of a checkpoint were trained.
#[derive(Debug)]
pub(super) struct Adapter {
    path: PathBuf,
    rank: Option<usize>,
    alpha: f64,
    /// Whether the scale is alpha by the root of the rank.
    by_root: bool,
    ranks: Patterns<usize>,
    alphas: Patterns<f64>,
    saved: Vec<String>,
    rows: BTreeMap<String, Vec<usize>>,
    initialised: Option<String>,
}

/// The base model that the adapter in a folder names.
///
/// # Errors
/// If its adapter_config.json cannot be read.
pub fn base_of(folder: &Path) -> Result<Option<String>> {
    let path = folder.join(ADAPTER_CONFIG);
    let Some(text) = read(&path)? else { return Ok(None) };
    let fields = parse(&path, &text)?;
    Ok(fields.base_model_name_or_path.filter(|base| !base.is_empty()))
}

impl Adapter {
    /// What lies in a folder; `None` where there is no such file.
    pub(super) fn beside(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(ADAPTER_CONFIG);
        match read(&path)? {
            Some(text) => Self::parse(path, &text).map(Some),
            None => Ok(None),
        }
    }

    fn parse(path: PathBuf, text: &str) -> Result<Self> {
        let refused = |reason: String| Error::Malformed { path: path.clone(), reason };
        let fields = parse(&path, text)?;
        if let Some(other) = fields.peft_type.filter(|kind| kind != "LORA") {
            return Err(refused(format!("`peft_type` is `{other}`; LORA is supported")));
        }
        let set = |field: &&&str| fields.others.get(**field).is_some_and(is_set);
        if let Some(field) = VARIANTS.iter().find(set) {
            return Err(refused(format!(
                "`{field}` is set, a variant of LoRA that is not computed"
            )));
        }
        let Some(alpha) = fields.lora_alpha.filter(|alpha| alpha.is_finite()) else {
            return Err(refused("`lora_alpha` is missing or no number".to_owned()));
        };
        let alphas = Patterns::new("alpha_pattern", fields.alpha_pattern).map_err(refused)?;
        if alphas.values.iter().any(|alpha| !alpha.is_finite()) {
            return Err(refused("`alpha_pattern` has an alpha that is no number".to_owned()));
        }
        let rows = match fields.trainable_token_indices {
            None => BTreeMap::new(),
            Some(Rows::Of(rows)) => rows,
            Some(Rows::OfEmbedding(rows)) => EMBEDDINGS
                .iter()
                .map(|name| (name.trim_end_matches(".weight").to_owned(), rows.clone()))
                .collect(),
        };
        let initialised = fields.init_lora_weights.as_ref().and_then(Value::as_str);
        Ok(Self {
            ranks: Patterns::new("rank_pattern", fields.rank_pattern).map_err(refused)?,
            rank: fields.r,
            alpha,
            by_root: fields.use_rslora.unwrap_or(false),
            alphas,
            saved: fields.modules_to_save.unwrap_or_default(),
            rows,
            initialised: initialised.map(str::to_owned),
            path,
        })
    }

    fn refused<T>(&self, reason: String) -> Result<T> {
        Err(Error::Malformed { path: self.path.clone(), reason })
    }

    /// By what the product of a pair of this rank is multiplied.
    pub(super) fn scale(&self, module: &str, rank: usize) -> Result<f64> {
        if let Some(said) = self.ranks.first(module).or(self.rank)
            && said != rank
        {
            let reason = format!(
                "says rank {said} (`r` or `rank_pattern`) for `{module}`, whose LoRA pair has rank {rank}: it belongs to other weights"
            );
            return self.refused(reason);
        }
        let rank = rank.max(1) as f64;
        let by = if self.by_root { rank.sqrt() } else { rank };
        Ok(self.alphas.first(module).unwrap_or(self.alpha) / by)
    }

    /// Refuses an alpha that somebody else says, if it is another.
    pub(super) fn agrees(&self, alpha: f64) -> Result<()> {
        if alpha == self.alpha {
            return Ok(());
        }
        let own = self.alpha;
        self.refused(format!(
            "`lora_alpha` is {own}, the recipe's is {alpha}: take it out of one of the two"
        ))
    }

    /// Whether a module was trained whole, as a copy.
    pub(super) fn saves(&self, module: &str) -> bool {
        self.saved.iter().any(|saved| is_tail(saved, module))
    }

    /// The rows, of so many, that were trained alone, in the order in which they are stored: those of the first of these
    /// modules that is named.
    pub(super) fn rows(&self, modules: &[&str], height: usize) -> Result<&[usize]> {
        let of = |module: &&str| self.rows.iter().find(|(name, _)| is_tail(name, module));
        let Some((_, rows)) = modules.iter().find_map(of) else {
            let module = modules.first().unwrap_or(&"");
            return self.refused(format!("`trainable_token_indices` says no rows of `{module}`"));
        };
        match rows.iter().find(|&&row| row >= height) {
            None => Ok(rows),
            Some(row) => self.refused(format!(
                "`trainable_token_indices` names row {row} of a weight with {height}"
            )),
        }
    }

    /// Refuses an adapter that is the difference to something else than its base model.
    pub(super) fn check_base(&self) -> Result<()> {
        match &self.initialised {
            Some(how) if MOVES_THE_BASE.iter().any(|name| how.to_lowercase().starts_with(name)) => {
                self.refused(format!(
                    "`init_lora_weights` is `{how}`, which changes the base model's weights too: save the merged model, or the adapter with path_initial_model_for_weight_conversion"
                ))
            }
            _ => Ok(()),
        }
    }
}

fn read(path: &Path) -> Result<Option<String>> {
    let io = |reason| Error::Io { path: path.to_owned(), reason };
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
        Ok(metadata) if metadata.len() > MAX_BYTES => {
            let reason = "is too long to be the config of an adapter".to_owned();
            return Err(Error::Malformed { path: path.to_owned(), reason });
        }
        Ok(_) => {}
    }
    files::read(path).map(Some).map_err(io)
}

fn parse(path: &Path, text: &str) -> Result<Fields> {
    serde_json::from_str(text)
        .map_err(|error| Error::Malformed { path: path.to_owned(), reason: error.to_string() })
}

/// What Python takes for true.
fn is_set(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::String(text) => !text.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

/// Whether a module is the one that a name or the end of a name means.
fn is_tail(tail: &str, module: &str) -> bool {
    module.strip_suffix(tail).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

impl<T: Copy> Patterns<T> {
    /// As PEFT matches them: the whole name, or its end after a dot.
    fn new(field: &str, patterns: Option<Ordered<T>>) -> Result<Self, String> {
        let Ordered(patterns) = patterns.unwrap_or(Ordered(Vec::new()));
        let whole = |pattern: &str| format!(r"^(?:.*\.)?(?:{pattern})$");
        let all = patterns.iter().map(|(pattern, _)| whole(pattern));
        let all = RegexSetBuilder::new(all).size_limit(MAX_PATTERN_BYTES).build();
        let all = all.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => format!("`{field}` has patterns that are too large"),
            _ => format!("`{field}` has a pattern that is not understood: {error}"),
        })?;
        Ok(Self { all, values: patterns.into_iter().map(|(_, value)| value).collect() })
    }

    fn first(&self, module: &str) -> Option<T> {
        self.all.matches(module).iter().next().map(|index| self.values[index])
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InOrder(PhantomData))
    }
}

struct InOrder<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for InOrder<T> {
    type Value = Ordered<T>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object of patterns")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered<T>, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Ordered(pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::Adapter;
    use std::path::PathBuf;

    fn adapter(fields: &str) -> Result<Adapter, String> {
        let text = format!(r#"{{"peft_type": "LORA", {fields}}}"#);
        Adapter::parse(PathBuf::from("a"), &text).map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_pattern_that_fits_counts() {
        let patterns = r#""z_proj": 3, "layers\\.1\\..*": 5, "a_proj": 7"#;
        let fields = format!(r#""r": null, "lora_alpha": 12, "alpha_pattern": {{{patterns}}}"#);
        let adapter = adapter(&fields).unwrap();
        let alpha = |module: &str| adapter.scale(module, 1).unwrap();
        assert_eq!(alpha("model.layers.1.z_proj"), 3.0);
        assert_eq!(alpha("model.layers.1.a_proj"), 5.0);
        assert_eq!(alpha("layers.0.a_proj"), 7.0);
        assert_eq!(alpha("layers.0.aa_proj"), 12.0, "a pattern begins at a dot");
        assert_eq!(alpha("layers.0.a_proj.x"), 12.0, "a pattern ends at the end");
    }

    #[test]
    fn the_scale_is_by_the_rank_or_its_root() {
        let plain = adapter(r#""r": 4, "lora_alpha": 6, "rank_pattern": {"b": 9}"#).unwrap();
        assert_eq!((plain.scale("a", 4).unwrap(), plain.scale("b", 9).unwrap()), (1.5, 6.0 / 9.0));
        let other = plain.scale("a", 5).unwrap_err().to_string();
        assert!(other.contains("says rank 4") && other.contains("has rank 5"), "{other}");
        let root = adapter(r#""r": 4, "lora_alpha": 6, "use_rslora": true"#).unwrap();
        assert_eq!(root.scale("a", 4).unwrap(), 3.0);
    }

    #[test]
    fn what_is_not_computed_is_refused_by_name() {
        for (fields, word) in [
            (r#""lora_alpha": 1, "use_dora": true"#, "use_dora"),
            (r#""lora_alpha": 1, "layer_replication": [[0, 2]]"#, "layer_replication"),
            (r#""r": 1"#, "lora_alpha"),
            (r#""lora_alpha": 1, "alpha_pattern": {"(?=a)": 1}"#, "(?=a)"),
            (r#""lora_alpha": 1, "alpha_pattern": {"(a{999}){999}": 1}"#, "too large"),
            (r#""lora_alpha": "x""#, "expected f64"),
        ] {
            let error = adapter(fields).unwrap_err();
            assert!(error.contains(word), "{fields}: {error}");
        }
        let null = r#""lora_alpha": 1, "use_dora": false, "layer_replication": null, "target_parameters": []"#;
        adapter(null).unwrap();
        let pissa = adapter(r#""lora_alpha": 1, "init_lora_weights": "pissa_niter_4""#).unwrap();
        assert!(pissa.check_base().unwrap_err().to_string().contains("pissa_niter_4"));
        let plain = adapter(r#""lora_alpha": 1, "init_lora_weights": true"#).unwrap();
        plain.check_base().unwrap();
        let other = Adapter::parse(PathBuf::from("a"), r#"{"peft_type": "IA3"}"#).unwrap_err();
        assert!(other.to_string().contains("IA3"));
    }

    /// Every prefix, and every byte changed: an adapter or a refusal.
    #[test]
    fn damaged_files_are_survived() {
        let text = r#"{"peft_type": "LORA", "r": 4, "lora_alpha": 6.5, "use_rslora": true, "rank_pattern": {"a": 2},
            "alpha_pattern": {"(k|v)_proj": 1e2, "b.*": 7}, "trainable_token_indices": {"wte": [1, 2]}}"#;
        Adapter::parse(PathBuf::from("a"), text).unwrap();
        for at in 0..text.len() {
            assert!(Adapter::parse(PathBuf::from("a"), &text[..at]).is_err());
            for byte in [b'"', b'{', b'(', b'9', b'-', b'*', b' ', b'\\', 0] {
                let mut bytes = text.as_bytes().to_vec();
                bytes[at] = byte;
                let Ok(damaged) = String::from_utf8(bytes) else { continue };
                if let Ok(adapter) = Adapter::parse(PathBuf::from("a"), &damaged) {
                    let _ = (adapter.scale("model.layers.0.k_proj", 4), adapter.rows(&["wte"], 9));
                }
            }
        }
    }
}
