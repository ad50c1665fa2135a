//! The JSON of what is inside the model: which layers, places and heads are asked for, and what they show. Knows no route.

use crate::engine::inside::Places;
use crate::engine::inside::Role;
use crate::engine::request::InsideRow;
use crate::engine::request::LensView;
use crate::engine::request::Scored;
use crate::engine::request::TopToken;
use crate::http::asking::include::Include;
use crate::http::asking::include::within;
use crate::http::asking::parts::ScoredBody;
use crate::http::asking::parts::TopTokenBody;
use crate::http::asking::parts::base64_f32;
use crate::http::error::ApiError;
use crate::http::whole::Whole;
use crate::http::whole::one;
use crate::http::whole::whole_or_none;
use crate::reason::inside::Insides;
use crate::reason::inside::LensOf;
use crate::reason::inside::TokenName;
use crate::reason::question::MAX_TOP_TOKENS;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

const DEFAULT_TOP: usize = 5;
const MAX_RANKED: usize = 256;

/// Where to look, with `hidden_states`, `lens` or `attention` in `include`. Every field may be absent.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct InsideBody {
    /// Layers: 0 is what enters the first block, k what leaves block k, the last one before the final norm. All where absent.
    #[schema(max_items = 256)]
    layers: Option<Vec<Whole>>,
    /// Which positions; `latent` and `answer` where absent.
    #[schema(max_items = 16)]
    places: Option<Vec<PlaceName>>,
    /// Of `attention`: which query heads, counted from 0. All where absent.
    #[schema(max_items = 256)]
    heads: Option<Vec<Whole>>,
    /// Of `lens`: how many most likely tokens.
    #[serde(default, deserialize_with = "whole_or_none")]
    #[schema(maximum = 100, default = 5)]
    top_tokens: Option<usize>,
    /// Of `lens`: tokens whose rank and probability are told, by id or by a text that is one token.
    #[schema(max_items = 256)]
    ranked: Option<Vec<TokenBody>>,
    /// Of `lens`: whether hidden states pass the model's final norm before the head, as those of the last layer do.
    #[schema(default = true)]
    final_norm: Option<bool>,
}

/// A kind of position.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum PlaceName {
    /// The last position of the prompt, start markers included: where the first thought comes from.
    Prompt,
    /// Where thoughts are fed.
    Latent,
    /// Where markers are fed.
    Marker,
    /// Where answer tokens are fed; the last of an answer never is.
    Answer,
}

/// A token.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "expected a token id or a text")]
#[schema(as = TokenNameBody)]
pub(in crate::http) enum TokenBody {
    /// By its id.
    #[serde(deserialize_with = "one")]
    Id(u32),
    /// By a text that is one token.
    Text(String),
}

impl InsideBody {
    /// What is to be seen; nothing where `include` asks for none of it.
    pub(in crate::http) fn checked(
        body: Option<Self>,
        include: Option<&[Include]>,
    ) -> Result<Option<Insides>, ApiError> {
        let shows = |asked| include.is_some_and(|include| include.contains(&asked));
        let [hidden_states, lens, attention] =
            [Include::HiddenStates, Include::Lens, Include::Attention].map(shows);
        if !(hidden_states || lens || attention) {
            let message = "say in `include` what to show: hidden_states, lens, attention";
            return body.map_or(Ok(None), |_| Err(ApiError::invalid("inside", message)));
        }
        let body = body.unwrap_or_default();
        let top = body.top_tokens.unwrap_or(DEFAULT_TOP);
        let top = within("inside.top_tokens", top, 0..=MAX_TOP_TOKENS)?;
        let ranked = body.ranked.unwrap_or_default();
        within("inside.ranked", ranked.len(), 0..=MAX_RANKED)?;
        let ranked = ranked.into_iter().map(TokenName::from).collect();
        let normed = body.final_norm.unwrap_or(true);
        let numbers = |numbers: Option<Vec<Whole>>| {
            numbers.map(|numbers| numbers.into_iter().map(|number| number.0).collect())
        };
        Ok(Some(Insides {
            layers: numbers(body.layers),
            places: places(body.places.as_deref()),
            hidden_states,
            lens: lens.then_some(LensOf { top, ranked, normed }),
            attention,
            heads: numbers(body.heads),
        }))
    }
}

fn places(names: Option<&[PlaceName]>) -> Places {
    let names = names.unwrap_or(&[PlaceName::Latent, PlaceName::Answer]);
    let has = |name| names.contains(&name);
    Places {
        prompt: has(PlaceName::Prompt),
        latent: has(PlaceName::Latent),
        marker: has(PlaceName::Marker),
        answer: has(PlaceName::Answer),
    }
}

impl From<TokenBody> for TokenName {
    fn from(body: TokenBody) -> Self {
        match body {
            TokenBody::Id(id) => Self::Id(id),
            TokenBody::Text(text) => Self::Text(text),
        }
    }
}

/// A position that was looked into.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct InsideRowBody {
    /// What is fed there.
    place: PlaceName,
    /// Of a thought its step, from 1; of markers and answer tokens their place, from 0.
    index: u32,
    /// Counted from the beginning of the prompt.
    position: usize,
    /// The only one of several answers that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    choice: Option<usize>,
    /// (layers, D)
    #[serde(skip_serializing_if = "Option::is_none")]
    hidden_states: Option<ArrayBody>,
    /// One entry per layer, in the order asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    lens: Vec<LensBody>,
    /// (layers, heads, positions up to this one): what each position weighs. Layer 0 has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    attention: Option<ArrayBody>,
}

/// Numbers with their shape.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ArrayBody {
    /// How many along each axis.
    shape: Vec<usize>,
    /// Base64 of little-endian f32, the last axis varying fastest.
    data: String,
}

/// What the head makes of a hidden state.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct LensBody {
    /// Which layer.
    layer: usize,
    /// Most likely first.
    top_tokens: Vec<TopTokenBody>,
    /// In nats.
    entropy: f32,
    /// The tokens that were to be ranked, in the order asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    ranked: Vec<ScoredBody>,
}

/// Which layers and heads a request sees, in its order.
#[derive(Clone, Debug, Default)]
pub(in crate::http) struct Seen {
    pub(in crate::http) layers: Vec<usize>,
    pub(in crate::http) heads: usize,
}

impl Seen {
    /// Of a model with so many blocks and heads.
    pub(in crate::http) fn of(body: Option<&InsideBody>, (layers, heads): (usize, usize)) -> Self {
        let asked = body.and_then(|body| body.layers.as_ref());
        let layers = asked.map_or_else(
            || (0..=layers).collect(),
            |asked| asked.iter().map(|layer| layer.0).collect(),
        );
        let asked = body.and_then(|body| body.heads.as_ref());
        Self { layers, heads: asked.map_or(heads, Vec::len) }
    }

    pub(in crate::http) fn row(
        &self,
        row: InsideRow,
        choice: Option<usize>,
        text: impl Fn(u32) -> String,
    ) -> InsideRowBody {
        let (place, index) = match row.role {
            Role::Prompt => (PlaceName::Prompt, 0),
            Role::Latent(step) => (PlaceName::Latent, step),
            Role::Marker(index) => (PlaceName::Marker, index),
            Role::Answer(index) => (PlaceName::Answer, index),
        };
        let (layers, positions) = (self.layers.len(), row.position + 1);
        let attending = self.layers.iter().filter(|&&layer| layer > 0).count();
        let width = row.hidden_states.len().checked_div(layers).unwrap_or(0);
        let lens = self.layers.iter().zip(row.lens);
        InsideRowBody {
            place,
            index,
            position: row.position,
            choice,
            hidden_states: ArrayBody::of(vec![layers, width], &row.hidden_states),
            lens: lens.map(|(&layer, view)| LensBody::new(layer, view, &text)).collect(),
            attention: ArrayBody::of(vec![attending, self.heads, positions], &row.attention),
        }
    }
}

impl ArrayBody {
    fn of(shape: Vec<usize>, data: &[f32]) -> Option<Self> {
        (!data.is_empty()).then(|| Self { shape, data: base64_f32(data) })
    }
}

impl LensBody {
    fn new(layer: usize, view: LensView, text: &impl Fn(u32) -> String) -> Self {
        let named = |top: TopToken| TopTokenBody::new(top, text);
        let ranked = |scored: Scored| ScoredBody::new(&scored, text);
        Self {
            layer,
            top_tokens: view.top_tokens.into_iter().map(named).collect(),
            entropy: view.entropy,
            ranked: view.ranked.into_iter().map(ranked).collect(),
        }
    }
}
