//! What the tensor names of a published checkpoint mean: wrappers are stripped, LoRA pairs and projectors recognised,
//! copies checked, auxiliary decoders and mask buffers dropped; an adapter by itself is laid over its base model. Knows
//! names and shapes, computes nothing.

use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::load::adapter::Adapter;
use crate::model::load::names::EMBEDDINGS;
use crate::model::load::names::Place;
use crate::model::load::names::Way;
pub use crate::model::load::names::Wrapper;
use crate::model::load::names::projector_name;
use crate::model::load::names::quiet;
use crate::model::load::names::with_stem;
use crate::model::load::peft;
pub use crate::model::load::peft::Pair;
use crate::model::load::peft::Role;
use crate::model::load::tensors::Tensors;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;

/// Names that old versions of transformers wrote and that hold no weights: causal masks and rotary frequencies.
const BUFFERS: [&str; 3] = [".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq"];
/// Modules used in training only, and why they are not needed.
const AUXILIARY: [(&str, &str); 6] = [
    ("expainable_llm.", "SIM-CoT's auxiliary decoder, used in training only"),
    ("explainable_llm.", "SIM-CoT's auxiliary decoder, used in training only"),
    ("decoder.", "SIM-CoT's auxiliary decoder, used in training only"),
    ("pj_in.", "SIM-CoT's auxiliary decoder, used in training only"),
    ("pj_out.", "SIM-CoT's auxiliary decoder, used in training only"),
    ("dynamic_cls.", "a classifier that the reference ignores too"),
];
/// Parts of names that say what is not computed here: what it is, and what would be.
const UNSUPPORTED: [(&str, &str, &str); 5] = [
    ("latent_policy", "CoLaR's Gaussian head", "support for this family"),
    ("recurrent_filter", "adaLR's recurrent filter", "support for this family"),
    ("_base_model", "adaLR's wrapper", "support for this family"),
    ("_flat_param", "weights that FSDP flattened", "a full state dict (FULL_STATE_DICT)"),
    ("flat_param", "weights that FSDP flattened", "a full state dict (FULL_STATE_DICT)"),
];

/// A LoRA pair: the weight gains `scale * B A`.
#[derive(Clone, Debug, PartialEq)]
pub struct Lora {
    /// Of what.
    pub pair: Pair,
    /// Name of A in the file.
    pub a: String,
    /// Name of B in the file.
    pub b: String,
    /// The scale, once somebody has said it.
    pub scale: Option<f64>,
}

/// Rows of a weight that were trained alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    /// Their name in the file.
    pub raw: String,
    /// Which rows of the weight they replace.
    pub indices: Vec<usize>,
}

impl Lora {
    /// The scale, or a refusal where nobody has said it.
    pub fn scale(&self) -> Result<f64> {
        self.scale.ok_or_else(|| Error::Scale { name: self.a.clone() })
    }
}

/// Tensors that are not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Their names in the file.
    pub names: Vec<String>,
    /// Why.
    pub why: &'static str,
}

/// The names of a checkpoint, understood.
#[derive(Clone, Debug)]
pub struct Layout {
    /// What was stripped.
    pub wrapper: Wrapper,
    /// Hugging Face's name of each tensor, and its name in the file.
    pub tensors: BTreeMap<String, String>,
    /// LoRA pairs by the weight that they change.
    pub lora: BTreeMap<String, Lora>,
    /// Rows trained alone, by the weight that they are rows of.
    pub rows: BTreeMap<String, Rows>,
    /// What is left out.
    pub dropped: Vec<Dropped>,
    /// Where a trained copy has taken a weight's place: what was there before, if the file has it.
    pub(super) originals: BTreeMap<String, Option<String>>,
}

/// The names of the norm that every whole model ends with.
const FINAL_NORMS: [&str; 2] = ["transformer.ln_f.weight", "model.norm.weight"];
/// The name of the head.
pub(super) const HEAD: &str = "lm_head.weight";

/// A pair on the way to be one.
type Halves = (Pair, [Option<String>; 2]);

/// What is collected on the way through the names.
#[derive(Default)]
struct Collected {
    pairs: BTreeMap<String, Halves>,
    adapters: BTreeSet<String>,
    originals: BTreeMap<String, String>,
    saved: BTreeMap<String, String>,
    /// What the Coconut code keeps of its embedding beside the model: the name in it, and in the file.
    copies: Vec<(String, String)>,
    /// Names inside the model, and in the file.
    inner: BTreeMap<String, String>,
}

impl Layout {
    /// A complete model. `path` is for messages only.
    pub fn of(tensors: &Tensors, path: &Path) -> Result<Self> {
        let mut layout = Self::read(tensors, path)?;
        layout.complete(tensors, path)?;
        Ok(layout)
    }

    /// A model, or an adapter by itself.
    pub(super) fn read(tensors: &Tensors, path: &Path) -> Result<Self> {
        let refused =
            |seen: String, missing| Err(Error::Layout { path: path.to_owned(), seen, missing });
        let names: Vec<(&str, String)> = tensors.names().map(|raw| (raw, quiet(raw))).collect();
        let has = |part: &str| names.iter().any(|(_, name)| name.split('.').any(|one| one == part));
        if let Some((part, what, missing)) = UNSUPPORTED.iter().find(|(part, ..)| has(part)) {
            return refused(format!("`{part}`, {what}"), missing);
        }
        let way = match Way::find(names.iter().map(|(_, name)| name.as_str())) {
            Ok(way) => way,
            Err(seen) => return refused(seen, "a choice: one checkpoint holds one model"),
        };
        let mut layout = Self {
            wrapper: way.wrapper,
            tensors: BTreeMap::new(),
            lora: BTreeMap::new(),
            rows: BTreeMap::new(),
            dropped: Vec::new(),
            originals: BTreeMap::new(),
        };
        let mut collected = Collected::default();
        for (raw, name) in &names {
            match way.place(name) {
                Place::Within(inner) => {
                    collected.inner.insert(inner.to_owned(), (*raw).to_owned());
                    layout.sort_in(raw, inner, path, &mut collected)?;
                }
                Place::Beside(beside) => layout.beside(raw, beside, path, &mut collected)?,
                Place::Outside(_) if is_single(tensors, raw) => {
                    layout.drop_one(raw, "a number beside the model, which no layer is made of");
                }
                Place::Outside(name) => layout.sort_in(raw, name, path, &mut collected)?,
            }
        }
        if collected.adapters.len() > 1 {
            let all = collected.adapters.into_iter().collect::<Vec<_>>().join(", ");
            return refused(format!("several LoRA adapters ({all})"), "a choice: save one of them");
        }
        layout.settle_saved(collected.saved, collected.originals, tensors)?;
        layout.pair_up(collected.pairs, path)?;
        layout.check_copies(collected.copies, &collected.inner, tensors)?;
        Ok(layout)
    }

    /// Whether this is an adapter without the model that it belongs to.
    pub(super) fn is_partial(&self) -> bool {
        let whole = FINAL_NORMS.iter().any(|name| self.tensors.contains_key(*name));
        self.is_adapted() && (self.orphan().is_some() || !whole)
    }

    /// A weight that is changed and not there. A tied head need not be there.
    fn orphan(&self) -> Option<&String> {
        let mut changed = self.lora.keys().chain(self.rows.keys());
        changed.find(|weight| *weight != HEAD && !self.tensors.contains_key(*weight))
    }

    /// Refuses what is no whole model.
    pub(super) fn complete(&mut self, tensors: &Tensors, path: &Path) -> Result<()> {
        self.find_embedding();
        let refused = |seen, missing| Err(Error::Layout { path: path.to_owned(), seen, missing });
        if let Some(weight) = self.orphan() {
            let seen = format!("a LoRA adapter of `{weight}`");
            return refused(
                seen,
                "the base model's weights: --base names a folder or id with them",
            );
        }
        if self.embedding().is_none() {
            let seen = tensors.names().take(4).collect::<Vec<_>>().join(", ");
            return refused(format!("{seen}, ..."), "the embedding of a known architecture");
        }
        Ok(())
    }

    /// A tensor beside the model, in the same wrapper.
    fn beside(
        &mut self,
        raw: &str,
        name: &str,
        path: &Path,
        collected: &mut Collected,
    ) -> Result<()> {
        if self.wrapper == Wrapper::Coconut
            && let Some(copy) = name.strip_prefix("embedding.")
        {
            collected.copies.push((copy.to_owned(), raw.to_owned()));
            return Ok(());
        }
        match AUXILIARY.iter().find(|(prefix, _)| name.starts_with(prefix)) {
            Some((_, why)) if self.wrapper != Wrapper::None => {
                self.drop_one(raw, why);
                Ok(())
            }
            _ => self.sort_in(raw, name, path, collected),
        }
    }

    /// Gives one tensor its place.
    fn sort_in(
        &mut self,
        raw: &str,
        name: &str,
        path: &Path,
        collected: &mut Collected,
    ) -> Result<()> {
        if BUFFERS.iter().any(|buffer| name.ends_with(buffer)) {
            self.drop_one(raw, "a buffer without weights");
            return Ok(());
        }
        let parsed = peft::parse(name);
        collected.adapters.extend(parsed.adapter);
        let raw = raw.to_owned();
        match parsed.role {
            Role::Weight(name) => {
                let name = projector_name(&name).unwrap_or_else(|| with_stem(&name));
                claim(&mut self.tensors, name, raw)?;
            }
            Role::Original(name) => claim(&mut collected.originals, with_stem(&name), raw)?,
            Role::Saved(name) => claim(&mut collected.saved, with_stem(&name), raw)?,
            Role::Half(weight, pair, half) => {
                let halves = collected.pairs.entry(with_stem(&weight));
                halves.or_insert((pair, [None, None])).1[half] = Some(raw);
            }
            Role::Rows(weight) => {
                self.rows.insert(with_stem(&weight), Rows { raw, indices: Vec::new() });
            }
            Role::Spare => self.drop_one(&raw, "a copy of what rows were before their training"),
            Role::Unsupported(what) => {
                let seen = format!("`{raw}`, {what}");
                let missing = "support for this kind of adapter: merge it with peft first";
                return Err(Error::Layout { path: path.to_owned(), seen, missing });
            }
        }
        Ok(())
    }

    pub(super) fn drop_one(&mut self, raw: &str, why: &'static str) {
        match self.dropped.iter_mut().find(|dropped| dropped.why == why) {
            Some(dropped) => dropped.names.push(raw.to_owned()),
            None => self.dropped.push(Dropped { names: vec![raw.to_owned()], why }),
        }
    }

    fn pair_up(&mut self, pairs: BTreeMap<String, Halves>, path: &Path) -> Result<()> {
        for (weight, pair) in pairs {
            let (pair, [Some(a), Some(b)]) = pair else {
                let (seen, missing) =
                    (format!("half of a LoRA pair of `{weight}`"), "the other half");
                return Err(Error::Layout { path: path.to_owned(), seen, missing });
            };
            self.lora.insert(weight, Lora { pair, a, b, scale: None });
        }
        Ok(())
    }

    /// Puts an adapter's tensors in the place of the base model's, or beside them. Of the base model's own tensors it has
    /// only those that were trained whole.
    pub(super) fn lay_over(&mut self, mut over: Self, config: &Adapter) {
        if self.wrapper == Wrapper::None {
            self.wrapper = over.wrapper;
        }
        for (name, raw) in over.tensors {
            let before = self.tensors.insert(name.clone(), raw);
            if config.saves(module(&name)) {
                // The adapter's own was given its rows, where training needed more than the base model has.
                let own = over.originals.remove(&name).flatten();
                self.originals.insert(name, own.or(before));
            }
        }
        self.lora.extend(over.lora);
        self.rows.extend(over.rows);
        self.dropped.extend(over.dropped);
    }

    /// Says how much each pair counts and which rows were trained.
    pub(super) fn apply(&mut self, config: &Adapter, tensors: &Tensors) -> Result<()> {
        for (weight, lora) in &mut self.lora {
            lora.scale = Some(config.scale(module(weight), tensors.rows(&lora.a))?);
        }
        for (weight, rows) in &mut self.rows {
            let raw = self.tensors.get(weight).and_then(|raw| tensors.info(raw));
            let height = raw.and_then(|info| info.shape.first().copied()).unwrap_or(usize::MAX);
            // PEFT names the embedding only, and keeps a tied head in step.
            let modules = [weight.as_str(), EMBEDDINGS[0], EMBEDDINGS[1]].map(module);
            let said = if weight == HEAD { &modules[..] } else { &modules[..1] };
            rows.indices = config.rows(said, height)?.to_vec();
        }
        Ok(())
    }

    /// Refuses rows of which nothing says which they are.
    pub(super) fn check_rows(&self, path: &Path) -> Result<()> {
        let Some((weight, rows)) = self.rows.iter().next() else { return Ok(()) };
        let seen = format!("`{}`, rows of `{weight}` that were trained alone", rows.raw);
        let missing = "adapter_config.json beside them, whose `trainable_token_indices` say which rows they are";
        Err(Error::Layout { path: path.to_owned(), seen, missing })
    }

    /// Whether PEFT has left its mark: pairs, rows, or modules trained as copies.
    pub(super) fn is_adapted(&self) -> bool {
        !self.is_plain() || !self.originals.is_empty()
    }

    /// The scale of all pairs, where one alpha is said for all.
    pub(super) fn scale_all(&mut self, scale: impl Fn(&Lora) -> f64) {
        for lora in self.lora.values_mut() {
            lora.scale = Some(scale(lora));
        }
    }

    /// Whether a weight is to be computed from more than one tensor.
    pub(super) fn is_changed(&self, weight: &str) -> bool {
        self.lora.contains_key(weight) || self.rows.contains_key(weight)
    }

    /// Whether every weight is a tensor of the file as it lies there.
    pub(super) fn is_plain(&self) -> bool {
        self.lora.is_empty() && self.rows.is_empty()
    }

    /// Whether a decoder was dropped that only SIM-CoT has.
    pub fn has_auxiliary_decoder(&self) -> bool {
        self.dropped.iter().any(|dropped| dropped.why.starts_with("SIM-CoT"))
    }
}

pub(super) fn claim(
    places: &mut BTreeMap<String, String>,
    name: String,
    raw: String,
) -> Result<()> {
    match places.insert(name.clone(), raw.clone()) {
        None => Ok(()),
        Some(other) => Err(Error::Twice { name, one: other, other: raw }),
    }
}

/// The module that a weight belongs to.
fn module(weight: &str) -> &str {
    weight.strip_suffix(".weight").unwrap_or(weight)
}

fn is_single(tensors: &Tensors, raw: &str) -> bool {
    tensors.info(raw).is_some_and(|info| info.shape.iter().all(|&size| size == 1))
}
