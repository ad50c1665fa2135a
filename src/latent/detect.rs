//! Which family a checkpoint without a manifest belongs to, by looking: the ids in config.json, then the names of the
//! tensors, then their shapes against the tokenizer. What fits two families is refused. Knows no weights' values.

use crate::latent::families;
use crate::latent::families::Markers;
use crate::latent::recipe::Recipe;
use crate::latent::recipe::RecipeError;
use crate::model::load::Found;
use crate::model::load::layout::Wrapper;
use crate::text::TextError;
use crate::text::Tokenizer;

/// Coconut's markers, in the order in which the training code adds them to the tokenizer.
const MARKERS: [&str; 3] = ["<|start-latent|>", "<|end-latent|>", "<|latent|>"];
/// The markers of CODI checkpoints that have them as text.
const CODI_MARKERS: [&str; 2] = ["<|bocot|>", "<|eocot|>"];
/// Words that only the superposition tokenizer has.
const GRAPH_WORDS: [&str; 3] = ["[Q]", "[R]", "[A]"];

/// What is missing where no file says when an answer ends.
const NO_END: &str = "an end of sequence: `eos_token_id` in config.json or generation_config.json, or `eos_token` in tokenizer_config.json";

/// The recipe of what was found, and how it was recognised. `eos` are the ids that its files state.
pub fn detect(
    found: &Found,
    tokenizer: &Tokenizer,
    eos: Vec<u32>,
) -> Result<(Recipe, String), RecipeError> {
    let evidence = Evidence { found, tokenizer, eos };
    let (recipe, how) = evidence.recipe()?;
    if recipe.eos.is_empty() {
        return Err(evidence.unknown(NO_END));
    }
    Ok((recipe, how.to_owned()))
}

/// Gives the tokenizer Coconut's markers where it is the base model's and lacks them, so that they decode.
pub fn name_markers(found: &Found, tokenizer: &mut Tokenizer) -> Result<bool, TextError> {
    let lacking = tokenizer.size() + MARKERS.len() <= found.config.vocab_size
        && MARKERS.iter().all(|marker| tokenizer.id(marker).is_none());
    if lacking && found.layout.wrapper == Wrapper::Coconut {
        tokenizer.add(&MARKERS)?;
    }
    Ok(lacking)
}

struct Evidence<'a> {
    found: &'a Found,
    tokenizer: &'a Tokenizer,
    eos: Vec<u32>,
}

impl Evidence<'_> {
    fn recipe(&self) -> Result<(Recipe, &'static str), RecipeError> {
        let wrapper = self.found.layout.wrapper;
        if let Some(recipe) = self.superposition() {
            return Ok((recipe, "by the words of its tokenizer"));
        }
        let latent = self.found.config.latent;
        if let (Some(start), Some(end)) = (latent.latent_start_id, latent.latent_end_id) {
            return Ok((self.with(Markers { start, end }), "by the ids in config.json"));
        }
        match wrapper {
            Wrapper::Codi => Ok((self.with(self.codi_markers()?), "by its `codi.*` names")),
            Wrapper::Coconut => {
                Ok((self.with(self.coconut_markers()?), "by its `base_causallm.*` names"))
            }
            Wrapper::Internalized => Ok((self.internalized()?, "by its `base_model.*` names")),
            Wrapper::None if self.found.config.projector.is_some() => {
                Ok((self.with(self.codi_markers()?), "by its projector"))
            }
            Wrapper::None => self.plain(),
        }
    }

    /// Coconut or CODI, with or without SIM-CoT's decoder in the file.
    fn with(&self, markers: Markers) -> Recipe {
        let layout = &self.found.layout;
        let codi = layout.wrapper == Wrapper::Codi || self.found.config.projector.is_some();
        match (codi, layout.has_auxiliary_decoder()) {
            (false, false) => families::coconut(markers, self.eos.clone()),
            (false, true) => families::sim_cot(markers, self.eos.clone()),
            (true, false) => families::codi(markers, self.eos.clone()),
            (true, true) => Recipe {
                family: "sim-cot-codi".to_owned(),
                ..families::codi(markers, self.eos.clone())
            },
        }
    }

    /// Graphs as words, no markers; the base config's ids mean nothing here.
    fn superposition(&self) -> Option<Recipe> {
        let ids = GRAPH_WORDS.map(|word| self.tokenizer.id(word));
        let ([Some(_), Some(_), Some(answer)], Some(eos)) = (ids, self.tokenizer.id("<eos>"))
        else {
            return None;
        };
        Some(families::superposition(answer, eos))
    }

    /// The tokenizer's next three ids, as the training code adds them; rows that round the embedding up may follow.
    fn coconut_markers(&self) -> Result<Markers, RecipeError> {
        if let Some(markers) = self.in_tokenizer([MARKERS[0], MARKERS[1]]) {
            return Ok(markers);
        }
        let rows = self.found.config.vocab_size;
        match self.tokenizer.size() {
            size if size + MARKERS.len() <= rows => Ok(markers(size, size + 1)),
            _ => Err(self.unknown("three rows of the embedding for start, end and latent")),
        }
    }

    /// pad, bot and eot follow the base model's vocabulary, whatever rows follow them.
    fn codi_markers(&self) -> Result<Markers, RecipeError> {
        for names in [CODI_MARKERS, [MARKERS[0], MARKERS[1]]] {
            if let Some(markers) = self.in_tokenizer(names) {
                return Ok(markers);
            }
        }
        let rows = self.found.config.vocab_size;
        let base = [self.found.base_vocabulary, self.tokenizer.size()];
        match base.into_iter().find(|base| *base > 0 && base + 3 <= rows) {
            Some(base) => Ok(markers(base + 1, base + 2)),
            None => Err(self.unknown("three rows of the embedding for pad, bot and eot")),
        }
    }

    fn in_tokenizer(&self, [start, end]: [&str; 2]) -> Option<Markers> {
        Some(Markers { start: self.tokenizer.id(start)?, end: self.tokenizer.id(end)? })
    }

    fn internalized(&self) -> Result<Recipe, RecipeError> {
        match self.eos.first() {
            Some(&eos) => {
                let text = self.tokenizer.name(eos);
                Ok(families::internalized(self.eos.clone(), &text))
            }
            None => Err(self.unknown(NO_END)),
        }
    }

    /// Names as Hugging Face writes them, no ids in config.json.
    fn plain(&self) -> Result<(Recipe, &'static str), RecipeError> {
        if let Some(markers) = self.in_tokenizer([MARKERS[0], MARKERS[1]]) {
            return Ok((self.with(markers), "by the markers of its tokenizer"));
        }
        let rows = self.found.config.vocab_size;
        let extra = rows.saturating_sub(self.tokenizer.size());
        let added = match self.found.base_vocabulary {
            0 => 0,
            base => rows.saturating_sub(base),
        };
        // Base models have rows beyond their tokenizer too, but no more than their own config.json says.
        if extra == 3 || (extra >= 3 && added >= 3) {
            return Err(self.unknown(
                "a hint whether the rows that the tokenizer lacks are Coconut's or CODI's",
            ));
        }
        let how = "for want of any sign of thoughts";
        Ok((families::chain_of_thought(self.eos.clone()), how))
    }

    fn unknown(&self, missing: &'static str) -> RecipeError {
        let prefix = match self.found.layout.wrapper.prefix() {
            "" => "names as Hugging Face writes them".to_owned(),
            prefix => format!("`{prefix}*` names"),
        };
        let seen = format!(
            "{prefix}, an embedding of {} rows, a config.json for {} and a tokenizer of {} tokens",
            self.found.config.vocab_size,
            self.found.base_vocabulary,
            self.tokenizer.size()
        );
        RecipeError::Unknown { seen, missing }
    }
}

fn markers(start: usize, end: usize) -> Markers {
    Markers { start: start as u32, end: end as u32 }
}
