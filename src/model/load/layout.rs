//! What the tensor names of a published checkpoint mean: wrappers are stripped, LoRA pairs and projectors recognised,
//! copies checked, auxiliary decoders and mask buffers dropped. Knows names and shapes, computes nothing.

use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::load::tensors::Tensors;
use std::collections::BTreeMap;
use std::path::Path;

/// Names that old versions of transformers wrote and that hold no weights: causal masks and rotary frequencies.
const BUFFERS: [&str; 3] = [".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq"];
/// What compilation and data-parallel training put into names.
const NOISE: [&str; 2] = ["_orig_mod.", "module."];
/// Modules used in training only, and why they are not needed.
const AUXILIARY: [(&str, &str); 6] = [
    ("expainable_llm.", "SIM-CoT's auxiliary decoder, used in training only"),
    ("explainable_llm.", "SIM-CoT's auxiliary decoder, used in training only"),
    ("decoder.", "SIM-CoT's auxiliary decoder, used in training only"),
    ("pj_in.", "SIM-CoT's auxiliary decoder, used in training only"),
    ("pj_out.", "SIM-CoT's auxiliary decoder, used in training only"),
    ("dynamic_cls.", "a classifier that the reference ignores too"),
];
/// Families that are recognised and not computed.
const UNSUPPORTED: [(&str, &str); 3] = [
    ("latent_policy.", "CoLaR's Gaussian head"),
    ("recurrent_filter.", "adaLR's recurrent filter"),
    ("_base_model.", "adaLR's wrapper"),
];

/// The module that the training code put around the language model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapper {
    /// None: names as Hugging Face writes them.
    None,
    /// `base_causallm.`: the Coconut code and what builds on it.
    Coconut,
    /// `codi.`: the CODI code and what builds on it.
    Codi,
    /// `base_model.`: the iCoT code.
    Internalized,
}

impl Wrapper {
    /// The prefix that is stripped.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Coconut => "base_causallm.",
            Self::Codi => "codi.",
            Self::Internalized => "base_model.",
        }
    }
}

/// A LoRA pair: the weight gains `scale * B A`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lora {
    /// Name of A (rank, in) in the file.
    pub a: String,
    /// Name of B (out, rank) in the file.
    pub b: String,
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
    /// What is left out.
    pub dropped: Vec<Dropped>,
}

/// The names of the embedding, after stripping.
pub(crate) const EMBEDDINGS: [&str; 2] = ["transformer.wte.weight", "model.embed_tokens.weight"];

impl Layout {
    /// `path` is for messages only.
    pub fn of(tensors: &Tensors, path: &Path) -> Result<Self> {
        let refused = |seen: &str, missing| {
            Err(Error::Layout { path: path.to_owned(), seen: seen.to_owned(), missing })
        };
        let names: Vec<(&str, String)> = tensors.names().map(|raw| (raw, quiet(raw))).collect();
        let any = |prefix: &str| names.iter().any(|(_, name)| name.starts_with(prefix));
        if let Some((prefix, what)) = UNSUPPORTED.iter().find(|(prefix, _)| any(prefix)) {
            return refused(&format!("`{prefix}*`, {what}"), "support for this family");
        }
        let wrapper = match (any("base_causallm."), any("codi."), any("base_model.")) {
            (true, true, _) => {
                let seen = "`base_causallm.*` (Coconut) and `codi.*` (CODI)";
                return refused(seen, "a choice: one checkpoint holds one model");
            }
            (true, false, _) => Wrapper::Coconut,
            (false, true, _) => Wrapper::Codi,
            (false, false, true) => Wrapper::Internalized,
            (false, false, false) => Wrapper::None,
        };
        let mut layout =
            Self { wrapper, tensors: BTreeMap::new(), lora: BTreeMap::new(), dropped: Vec::new() };
        let mut pairs = BTreeMap::new();
        let mut copies = Vec::new();
        for (raw, name) in &names {
            layout.sort_in(raw, name, &mut pairs, &mut copies)?;
        }
        layout.add_stem();
        layout.pair_up(pairs, path)?;
        layout.check_copies(&copies, tensors)?;
        if !EMBEDDINGS.iter().any(|name| layout.tensors.contains_key(*name)) {
            let seen = names.iter().take(4).map(|(raw, _)| *raw).collect::<Vec<_>>().join(", ");
            return refused(&format!("{seen}, ..."), "the embedding of a known architecture");
        }
        Ok(layout)
    }

    /// Gives one tensor its place.
    fn sort_in(
        &mut self,
        raw: &str,
        name: &str,
        pairs: &mut BTreeMap<String, [Option<String>; 2]>,
        copies: &mut Vec<String>,
    ) -> Result<()> {
        let auxiliary = AUXILIARY.iter().find(|(prefix, _)| name.starts_with(prefix));
        if let (Some((_, why)), true) = (auxiliary, self.wrapper != Wrapper::None) {
            self.drop_one(raw, why);
            return Ok(());
        }
        if name == "embedding.weight" && self.wrapper == Wrapper::Coconut {
            copies.push(raw.to_owned());
            return Ok(());
        }
        let inner = match name.strip_prefix(self.wrapper.prefix()) {
            Some(inner) if self.wrapper == Wrapper::Codi => {
                inner.strip_prefix("base_model.model.").unwrap_or(inner)
            }
            Some(inner) => inner,
            // The projector lies beside the wrapped model; anything else is reported as unexpected.
            None => name,
        };
        if BUFFERS.iter().any(|buffer| inner.ends_with(buffer)) {
            self.drop_one(raw, "a buffer without weights");
            return Ok(());
        }
        for (part, infix) in [(0, ".lora_A."), (1, ".lora_B.")] {
            if let Some((module, rest)) = inner.split_once(infix)
                && matches!(rest, "default.weight" | "weight")
            {
                pairs.entry(format!("{module}.weight")).or_default()[part] = Some(raw.to_owned());
                return Ok(());
            }
        }
        let plain = projector_name(inner).unwrap_or_else(|| inner.replace(".base_layer.", "."));
        match self.tensors.insert(plain.clone(), raw.to_owned()) {
            None => Ok(()),
            Some(other) => Err(Error::Twice { name: plain, one: other, other: raw.to_owned() }),
        }
    }

    fn drop_one(&mut self, raw: &str, why: &'static str) {
        match self.dropped.iter_mut().find(|dropped| dropped.why == why) {
            Some(dropped) => dropped.names.push(raw.to_owned()),
            None => self.dropped.push(Dropped { names: vec![raw.to_owned()], why }),
        }
    }

    /// A bare `GPT2Model` or `LlamaModel` has names without the stem that the language model puts in front.
    fn add_stem(&mut self) {
        for (bare, stem) in [("wte.weight", "transformer."), ("embed_tokens.weight", "model.")] {
            if self.tensors.contains_key(bare) {
                let tensors = std::mem::take(&mut self.tensors).into_iter();
                self.tensors = tensors.map(|(name, raw)| (with_stem(name, stem), raw)).collect();
            }
        }
    }

    fn pair_up(&mut self, pairs: BTreeMap<String, [Option<String>; 2]>, path: &Path) -> Result<()> {
        for (weight, pair) in pairs {
            let [Some(a), Some(b)] = pair else {
                let (seen, missing) =
                    (format!("half of a LoRA pair of `{weight}`"), "the other half");
                return Err(Error::Layout { path: path.to_owned(), seen, missing });
            };
            if !self.tensors.contains_key(&weight) {
                let seen = format!("a LoRA adapter of `{weight}`");
                let missing =
                    "the base model's weights: only merged or complete checkpoints are read";
                return Err(Error::Layout { path: path.to_owned(), seen, missing });
            }
            self.lora.insert(weight, Lora { a, b });
        }
        Ok(())
    }

    /// The Coconut code saves the embedding again under its own name; both must be the same.
    fn check_copies(&mut self, copies: &[String], tensors: &Tensors) -> Result<()> {
        let embedding = EMBEDDINGS.iter().find_map(|name| self.tensors.get(*name)).cloned();
        for copy in copies {
            match &embedding {
                Some(embedding) if tensors.same(embedding, copy) => {
                    self.drop_one(copy, "the embedding once more");
                }
                Some(embedding) => {
                    return Err(Error::Disagree { one: embedding.clone(), other: copy.clone() });
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Leaves out the head where it is the embedding once more; refuses it where it should be and is not.
    pub(crate) fn drop_tied_head(&mut self, tensors: &Tensors) -> Result<()> {
        let embedding = EMBEDDINGS.iter().find_map(|name| self.tensors.get(*name));
        let (Some(embedding), Some(head)) = (embedding, self.tensors.get("lm_head.weight")) else {
            return Ok(());
        };
        if !tensors.same(embedding, head) {
            return Err(Error::Disagree { one: embedding.clone(), other: head.clone() });
        }
        if let Some(head) = self.tensors.remove("lm_head.weight") {
            self.drop_one(&head, "the tied head, which is the embedding once more");
        }
        Ok(())
    }

    /// Whether a decoder was dropped that only SIM-CoT has.
    pub fn has_auxiliary_decoder(&self) -> bool {
        self.dropped.iter().any(|dropped| dropped.why.starts_with("SIM-CoT"))
    }
}

/// A name without what compilation and data-parallel training put into it.
fn quiet(raw: &str) -> String {
    let mut name = raw;
    while let Some(rest) = NOISE.iter().find_map(|noise| name.strip_prefix(noise)) {
        name = rest;
    }
    name.replace("._orig_mod.", ".")
}

/// The projector under one name: CODI's `prj.{1,3,ln}` and `projector.{1,3,4}` of the `latent-tts` checkpoints.
fn projector_name(name: &str) -> Option<String> {
    let rest = name.strip_prefix("prj.").or_else(|| name.strip_prefix("projector."))?;
    let (part, kind) = rest.split_once('.')?;
    let part = match part {
        "1" | "3" | "4" => part,
        "ln" => "4",
        _ => return None,
    };
    Some(format!("projector.{part}.{kind}"))
}

fn with_stem(name: String, stem: &str) -> String {
    let bare =
        !name.starts_with(stem) && name != "lm_head.weight" && !name.starts_with("projector.");
    if bare { format!("{stem}{name}") } else { name }
}
