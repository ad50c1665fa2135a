//! What a tokenizer does with text beside cutting it, read from its file. Cuts nothing itself.

use serde::Deserialize;
use serde_json::Value;

/// What a `tokenizer.json` says that the tokenizer does not tell.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Facts {
    #[serde(default)]
    model: ModelFacts,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct ModelFacts {
    /// Of words, word pieces and pairs.
    #[serde(default)]
    unk_token: Option<String>,
    /// Of Unigram.
    #[serde(default)]
    unk_id: Option<u32>,
}

/// How a tokenizer treats text.
#[derive(Clone, Debug, Default)]
pub(super) struct Habits {
    /// The token of what the vocabulary does not have.
    pub(super) unknown: Option<u32>,
    /// Whether a text's beginning is read as it would be read alone, but for its last tokens.
    pub(super) local: bool,
}

impl Habits {
    pub(super) fn of(facts: &Facts, inner: &tokenizers::Tokenizer) -> Self {
        let token = facts.model.unk_token.as_deref().and_then(|token| inner.token_to_id(token));
        Self {
            unknown: token.or(facts.model.unk_id),
            local: !takes_away(&facts.normalizer) && !takes_away(&facts.pre_tokenizer),
        }
    }

    /// Of words that a pattern finds.
    pub(super) fn of_words(unknown: Option<u32>) -> Self {
        Self { unknown, local: true }
    }
}

/// Whether a regular expression of the file's author says what is no part of the text: that may reach from any place to
/// any other. What it keeps (`invert`) is a word.
fn takes_away(part: &Value) -> bool {
    let by_pattern = part["pattern"].get("Regex").is_some();
    let here = match part["type"].as_str() {
        Some("Replace") => by_pattern,
        Some("Split") => by_pattern && part["behavior"] == "Removed" && part["invert"] != true,
        _ => false,
    };
    let nested = ["normalizers", "pretokenizers"].iter().filter_map(|name| part[*name].as_array());
    here || nested.flatten().any(takes_away)
}
