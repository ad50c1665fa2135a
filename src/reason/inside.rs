//! What a question may want to see of the inside of the model, before it is known which layers and tokens there are; and
//! what that comes to for the model at hand. Knows sizes and a tokenizer, no rows.

use crate::engine::inside::Inside;
use crate::engine::inside::Lens;
use crate::engine::inside::NotThere;
use crate::engine::inside::Places;
use crate::engine::inside::Sizes;
use crate::latent::script::Script;
use crate::text::Tokenizer;
use crate::text::encode::Encoded;

/// What to see of some rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Insides {
    /// 0 is what enters the first block, k what leaves block k; all where `None`.
    pub layers: Option<Vec<usize>>,
    /// Which rows.
    pub places: Places,
    /// Whether hidden states are shown as they are.
    pub hidden_states: bool,
    /// What the head makes of them.
    pub lens: Option<LensOf>,
    /// Whether attention is shown.
    pub attention: bool,
    /// Of which heads; all where `None`.
    pub heads: Option<Vec<usize>>,
}

/// The head, applied to hidden states.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LensOf {
    /// This many most likely tokens.
    pub top: usize,
    /// Tokens whose places among all others are wanted.
    pub ranked: Vec<TokenName>,
    /// Whether hidden states pass the final norm before.
    pub normed: bool,
}

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenName {
    /// By its id.
    Id(u32),
    /// By a text that is encoded as one token.
    Text(String),
}

/// Which field cannot be meant (none where it is all of them), and why.
pub(crate) type Refused = (&'static str, String);

/// The most that a request may see, in numbers: 16 MiB of them.
const MOST: usize = 1 << 22;

impl Insides {
    /// For a model of these sizes and this width.
    pub(crate) fn of(
        &self,
        (sizes, width): (Sizes, usize),
        tokenizer: &Tokenizer,
        script: &Script,
    ) -> Result<Inside, Refused> {
        let layers = self.layers.clone().unwrap_or_else(|| (0..=sizes.layers).collect());
        let heads = self.heads.clone().unwrap_or_else(|| (0..sizes.heads).collect());
        let lens = self.lens.as_ref().map(|lens| lens.of(tokenizer)).transpose()?;
        let (places, hidden_states) = (self.places, self.hidden_states);
        let attention = self.attention.then_some(heads);
        let inside = Inside { layers, places, hidden_states, lens, attention };
        inside.check(sizes).map_err(|error| (field(error), error.to_string()))?;
        let numbers = inside.numbers(width, script);
        if numbers > MOST {
            let (mib, most) = (numbers >> 18, MOST >> 18);
            let reason = format!(
                "would be {mib} MiB, at most {most} are possible: name fewer layers, heads or places"
            );
            return Err(("", reason));
        }
        Ok(inside)
    }
}

/// The field that names it.
fn field(error: NotThere) -> &'static str {
    match error {
        NotThere::Layer { .. } => "layers",
        NotThere::Head { .. } => "heads",
        NotThere::Id { .. } => "ranked",
    }
}

impl Inside {
    /// The most numbers that a script gives.
    fn numbers(&self, width: usize, script: &Script) -> usize {
        let (rows, longest) = (script.positions(), script.longest());
        let shown = match self.places.answer || self.places.marker {
            true => rows.saturating_sub(longest.prompt).saturating_add(1),
            false => rows.saturating_sub(longest.prompt).min(longest.latent).saturating_add(1),
        };
        let hidden = if self.hidden_states { width } else { 0 };
        let heads = self.attention.as_ref().map_or(0, Vec::len);
        let lens = self.lens.as_ref().map_or(0, |lens| lens.top + lens.ranked.len());
        let a_layer =
            hidden.saturating_add(heads.saturating_mul(longest.total)).saturating_add(lens);
        shown.saturating_mul(self.layers.len()).saturating_mul(a_layer)
    }
}

impl LensOf {
    fn of(&self, tokenizer: &Tokenizer) -> Result<Lens, Refused> {
        let id = |name: &TokenName| match name {
            TokenName::Id(id) => Ok(*id),
            TokenName::Text(text) => one_token(text, tokenizer),
        };
        let ranked = self.ranked.iter().map(id).collect::<Result<_, _>>()?;
        Ok(Lens { top: self.top, ranked, normed: self.normed })
    }
}

fn one_token(text: &str, tokenizer: &Tokenizer) -> Result<u32, Refused> {
    if let Some(id) = tokenizer.id(text) {
        return Ok(id);
    }
    let Encoded { ids, unknown } =
        tokenizer.encode_whole(text, false).map_err(|error| ("ranked", error.to_string()))?;
    match ids[..] {
        _ if unknown.tokens > 0 => {
            Err(("ranked", format!("`{text}` is not in the model's vocabulary")))
        }
        [id] => Ok(id),
        _ => Err(("ranked", format!("`{text}` is {} tokens, not one", ids.len()))),
    }
}
