//! Where in a file's names the language model stands: what compilation, parallel training and checkpointing put between
//! the parts is taken out, the modules around the model are told from its own. Knows names only.

use crate::model::load::peft;
use std::collections::BTreeSet;

/// The names of the embedding, after stripping.
pub(crate) const EMBEDDINGS: [&str; 2] = ["transformer.wte.weight", "model.embed_tokens.weight"];

/// What wrappers put into names, as whole parts and at any depth: DDP, DataParallel and DeepSpeed, `torch.compile`,
/// FSDP (PyTorch's and FairScale's), activation checkpointing, DeepSpeed's older engine, Opacus. No architecture that
/// is computed here has a part of such a name.
const NOISE: [&str; 7] = [
    "module",
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_fpw_module",
    "_checkpoint_wrapped_module",
    "_forward_module",
    "_module",
];

/// Parts by which a language model is found, and what transformers calls the module around them.
const LANDMARKS: [(&str, &str, Next); 4] = [
    ("wte", "transformer", Next::Anything),
    ("h", "transformer", Next::Number),
    ("embed_tokens", "model", Next::Anything),
    ("layers", "model", Next::Number),
];

/// What follows a landmark.
#[derive(Clone, Copy, PartialEq)]
enum Next {
    Anything,
    Number,
}

/// Top parts of a bare `GPT2Model` or `LlamaModel`, and what the language model puts in front of them.
const STEMS: [(&str, &str); 7] = [
    ("wte", "transformer."),
    ("wpe", "transformer."),
    ("h", "transformer."),
    ("ln_f", "transformer."),
    ("embed_tokens", "model."),
    ("layers", "model."),
    ("norm", "model."),
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
    /// What its names begin with.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Coconut => "base_causallm.",
            Self::Codi => "codi.",
            Self::Internalized => "base_model.",
        }
    }

    fn of(part: &str) -> Option<Self> {
        match part {
            "base_causallm" => Some(Self::Coconut),
            "codi" => Some(Self::Codi),
            _ => None,
        }
    }
}

/// The way from the top of a file to its language model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) wrapper: Wrapper,
    /// What stands in front of the wrapper, with a dot behind: Lightning's `model.`, PEFT's `base_model.model.`.
    outer: String,
    /// All that stands in front of the model's own names, with a dot behind.
    whole: String,
}

/// A name, seen from the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// Inside the model.
    Within(&'a str),
    /// Beside it, in the same wrapper.
    Beside(&'a str),
    /// Outside of the wrapper's own module.
    Outside(&'a str),
}

/// A name without what wrappers put into it.
pub(super) fn quiet(raw: &str) -> String {
    let parts = raw.split('.').filter(|part| !NOISE.contains(part));
    parts.collect::<Vec<_>>().join(".")
}

/// A name of a bare model as its language model would have it.
pub(super) fn with_stem(name: &str) -> String {
    let first = name.split('.').next().unwrap_or_default();
    let stem = STEMS.iter().find(|(part, _)| *part == first).map_or("", |(_, stem)| stem);
    format!("{stem}{name}")
}

/// The projector under one name: CODI's `prj.{1,3,ln}` and `projector.{1,3,4}` of the `latent-tts` checkpoints.
pub(super) fn projector_name(name: &str) -> Option<String> {
    let rest = name.strip_prefix("prj.").or_else(|| name.strip_prefix("projector."))?;
    let (part, kind) = rest.split_once('.')?;
    let part = match part {
        "1" | "3" | "4" => part,
        "ln" => "4",
        _ => return None,
    };
    Some(format!("projector.{part}.{kind}"))
}

impl Way {
    /// By the parts that every model has. `Err` says what was found where there is not one model.
    pub(super) fn find<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Result<Self, String> {
        let mut paths: BTreeSet<Vec<&str>> = names.clone().filter_map(path).collect();
        if paths.is_empty() {
            // An adapter may be of the head alone.
            paths
                .extend(names.clone().filter_map(|name| Some(path_to(name, "lm_head")?.collect())));
        }
        // Auxiliary decoders are models too; the training codes name theirs.
        let known = |path: &Vec<&str>| path.iter().any(|part| Wrapper::of(part).is_some());
        if paths.iter().any(known) {
            paths.retain(known);
        }
        if paths.len() > 1 {
            let all: Vec<String> =
                paths.iter().map(|path| format!("`{}.`", path.join("."))).collect();
            return Err(format!("a model at each of {}", all.join(", ")));
        }
        let path = paths.pop_first().unwrap_or_default();
        let wrapped = path.iter().enumerate().find_map(|(at, part)| Some((at, Wrapper::of(part)?)));
        let (outer, wrapper) = match (wrapped, path.split_last()) {
            (Some((at, wrapper)), _) => (&path[..at], wrapper),
            // PEFT calls its wrapper as the iCoT code does, and a model with no stem is found at the same place.
            (None, Some((&"base_model", outer))) if !names.clone().any(peft::is_marked) => {
                (outer, Wrapper::Internalized)
            }
            (None, _) => (&path[..], Wrapper::None),
        };
        Ok(Self { wrapper, outer: dotted(outer), whole: dotted(&path) })
    }

    /// Where a name stands.
    pub(super) fn place<'a>(&self, name: &'a str) -> Place<'a> {
        if let Some(inner) = name.strip_prefix(self.whole.as_str()) {
            return Place::Within(inner);
        }
        match name.strip_prefix(self.outer.as_str()) {
            Some(rest) => Place::Beside(rest),
            None => Place::Outside(name),
        }
    }
}

/// What stands in front of a model's own names, by one of these.
fn path(name: &str) -> Option<Vec<&str>> {
    let parts: Vec<&str> = name.split('.').collect();
    let at = (0..parts.len()).find_map(|at| {
        let (_, stem, next) = LANDMARKS.iter().find(|(part, ..)| *part == parts[at])?;
        let number = parts.get(at + 1).is_some_and(|next| next.parse::<usize>().is_ok());
        let stemmed = at.checked_sub(1).filter(|&before| parts[before] == *stem);
        (*next == Next::Anything || number).then_some(stemmed.unwrap_or(at))
    });
    at.map(|at| parts[..at].to_vec())
}

fn path_to<'a>(name: &'a str, part: &str) -> Option<impl Iterator<Item = &'a str>> {
    let at = name.split('.').position(|one| one == part)?;
    Some(name.split('.').take(at))
}

fn dotted(parts: &[&str]) -> String {
    parts.iter().flat_map(|part| [part, "."]).collect()
}

#[cfg(test)]
mod tests {
    use super::Place;
    use super::Way;
    use super::Wrapper;
    use super::quiet;

    fn way(names: &[&str]) -> (Wrapper, String, String) {
        let way = Way::find(names.iter().copied()).unwrap();
        (way.wrapper, way.outer, way.whole)
    }

    #[test]
    fn wrappers_are_taken_out_wherever_they_stand() {
        let noisy = "_forward_module.module._orig_mod.base_causallm._fsdp_wrapped_module.model.layers.1.\
                     _fsdp_wrapped_module._checkpoint_wrapped_module._orig_mod.mlp.up_proj.weight";
        assert_eq!(quiet(noisy), "base_causallm.model.layers.1.mlp.up_proj.weight");
        let clean = "base_model.model.lm_head.original_module.weight";
        assert_eq!(quiet(clean), clean);
    }

    #[test]
    fn a_model_is_found_under_any_modules() {
        let cases: &[(&[&str], Wrapper, &str, &str)] = &[
            (&["transformer.wte.weight", "transformer.h.0.ln_1.weight"], Wrapper::None, "", ""),
            (&["wte.weight", "h.0.ln_1.weight"], Wrapper::None, "", ""),
            (&["model.layers.0.x", "lm_head.weight"], Wrapper::None, "", ""),
            (
                &["model.model.layers.0.x", "model.lm_head.weight"],
                Wrapper::None,
                "model.",
                "model.",
            ),
            (&["net.llm.model.embed_tokens.weight"], Wrapper::None, "net.llm.", "net.llm."),
            (
                &["model.base_causallm.transformer.h.0.x"],
                Wrapper::Coconut,
                "model.",
                "model.base_causallm.",
            ),
            (
                &["codi.base_model.model.model.layers.0.x", "decoder.model.layers.0.x"],
                Wrapper::Codi,
                "",
                "codi.base_model.model.",
            ),
            (
                &["base_model.model.base_causallm.transformer.h.0.x"],
                Wrapper::Coconut,
                "base_model.model.",
                "base_model.model.base_causallm.",
            ),
            (&["base_model.transformer.h.0.x"], Wrapper::Internalized, "", "base_model."),
            (&["base_model.model.layers.0.x"], Wrapper::Internalized, "", "base_model."),
            (
                &["base_model.model.layers.0.q.lora_A.weight"],
                Wrapper::None,
                "base_model.",
                "base_model.",
            ),
            (
                &["base_model.model.model.layers.0.x"],
                Wrapper::None,
                "base_model.model.",
                "base_model.model.",
            ),
            (
                &["base_model.model.transformer.h.0.x"],
                Wrapper::None,
                "base_model.model.",
                "base_model.model.",
            ),
        ];
        for (names, wrapper, outer, whole) in cases {
            assert_eq!(
                way(names),
                (*wrapper, (*outer).to_owned(), (*whole).to_owned()),
                "{names:?}"
            );
        }
        assert!(Way::find(["student.h.0.x", "teacher.h.0.x"].into_iter()).is_err());
        assert!(Way::find(["codi.h.0.x", "base_causallm.h.0.x"].into_iter()).is_err());
    }

    #[test]
    fn what_stands_beside_a_model_is_told_from_what_is_outside() {
        let way = Way::find(["net.codi.h.0.x"].into_iter()).unwrap();
        assert_eq!(way.place("net.codi.h.0.x"), Place::Within("h.0.x"));
        assert_eq!(way.place("net.prj.1.weight"), Place::Beside("prj.1.weight"));
        assert_eq!(way.place("prj.1.weight"), Place::Outside("prj.1.weight"));
    }
}
