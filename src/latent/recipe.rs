//! The manifest `coconut.json`: how a question becomes an answer with this checkpoint. Knows ids and templates, no
//! tokenizer and no weights; what to assume where there is no manifest is `detect`'s business.

use crate::files;
use crate::latent::answer::AnswerRule;
use crate::latent::script::StopRule;
use crate::model::config::Config;
use crate::model::config::MAX_SIZE;
use crate::tools::react::ReactForm;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de::MapAccess;
use serde::de::Visitor;
use serde::de::value::MapDeserializer;
use serde_json::Value;
use std::fmt;
use std::io::ErrorKind;
use std::path::Path;
use std::path::PathBuf;

/// The name of the manifest in a checkpoint's folder.
pub const MANIFEST: &str = "coconut.json";

/// How a question becomes an answer.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The family, for people: `coconut`, `codi`, ...
    pub family: String,
    /// The text that is encoded; `{question}` stands for the question.
    #[serde(default = "question_and_newline")]
    pub prompt: String,
    /// Whether the tokenizer adds its own special tokens, such as BOS.
    #[serde(default = "yes")]
    pub add_special_tokens: bool,
    /// Ids after the prompt; the last one's hidden state is the first thought.
    #[serde(default)]
    pub start: Vec<u32>,
    /// Ids fed after the thoughts, whatever the model would have said.
    #[serde(default)]
    pub end: Vec<u32>,
    /// How many thoughts.
    pub latent_steps: LatentSteps,
    /// End-of-sequence ids.
    pub eos: Vec<u32>,
    /// How many end-of-sequence ids end an answer.
    #[serde(default = "one")]
    pub eos_count: usize,
    /// Ids that are never chosen.
    #[serde(default)]
    pub masked: Vec<u32>,
    /// What part of the decoded text is the answer.
    #[serde(default)]
    pub answer: AnswerRule,
    /// What is done to a question before it enters the prompt.
    #[serde(default)]
    pub question: QuestionRule,
    /// How a conversation becomes a prompt; where absent, by the checkpoint's chat template if it has one and does not think.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<ChatRule>,
    /// How the model calls tools, if it learnt that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<ToolForm>,
    /// Answer tokens where a request names no number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<usize>,
    /// The id that is fed in the place of thoughts where a request asks for pauses; where absent, that of the tokenizer's
    /// `<|latent|>`, `<|pause|>` or `<pause>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<u32>,
    /// Alpha of unmerged LoRA pairs that no `adapter_config.json` describes. Where absent, CODI's count as published, a
    /// quarter of their rank; others are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora_alpha: Option<f64>,
}

/// Numbers of latent steps.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LatentSteps {
    /// Where a request names none.
    pub default: usize,
    /// The most a request may ask for.
    pub max: usize,
}

/// What is done to a question before it enters the prompt.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum QuestionRule {
    /// Nothing.
    #[default]
    AsIs,
    /// Trimmed, each pair of spaces made one (the CODI code's `test.py`).
    Tidied,
}

/// How calls of tools are written.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(tag = "form", rename_all = "snake_case")]
pub enum ToolForm {
    /// Lines of thoughts, actions and observations.
    React(ReactForm),
    /// As Hermes and Qwen write them.
    Hermes,
    /// As Llama 3 writes them.
    Llama,
}

/// How a conversation becomes a prompt.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatRule {
    /// By the chat template that lies beside the tokenizer.
    Template,
    /// Its last user message is the question.
    Question,
}

/// Why there is no recipe.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The manifest cannot be read.
    #[error("{path}: {reason}", path = path.display())]
    Io {
        /// The manifest.
        path: PathBuf,
        /// Why. Not called a source, which would be printed twice.
        reason: std::io::Error,
    },
    /// The manifest is not a recipe.
    #[error("{path}: {reason}", path = path.display())]
    Malformed {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// What was recognised does not fit the weights.
    #[error(
        "recognised {how}, but {reason}. The tokenizer is not the one of these weights, or the weights are from before its last tokens were added"
    )]
    Unfit {
        /// How the recipe was found.
        how: String,
        /// What does not fit.
        reason: String,
    },
    /// What was found does not say how questions are asked.
    #[error(
        "cannot tell how this checkpoint reasons: found {seen}; missing: {missing}. A coconut.json in its folder, or --recipe FILE, says it"
    )]
    Unknown {
        /// What was there.
        seen: String,
        /// What would be needed.
        missing: &'static str,
    },
}

impl Recipe {
    /// The manifest of a checkpoint folder; `None` where it has none.
    pub fn load(folder: &Path) -> Result<Option<Self>, RecipeError> {
        match Self::read(&folder.join(MANIFEST)) {
            Ok(recipe) => Ok(Some(recipe)),
            Err(RecipeError::Io { reason, .. }) if reason.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A manifest by itself. Its ids are not checked against a vocabulary yet.
    pub fn read(path: &Path) -> Result<Self, RecipeError> {
        let malformed = |reason| RecipeError::Malformed { path: path.to_owned(), reason };
        let text = files::read(path)
            .map_err(|reason| RecipeError::Io { path: path.to_owned(), reason })?;
        if text.trim().is_empty() {
            return Err(malformed("is empty".to_owned()));
        }
        Self::from_json(&text).map_err(malformed)
    }

    /// Both times with the field's name, which serde does not say by itself.
    fn from_json(text: &str) -> Result<Self, String> {
        let mut json = serde_json::Deserializer::from_str(text);
        let Stated(fields) =
            serde_path_to_error::deserialize(&mut json).map_err(|error| error.to_string())?;
        json.end().map_err(|error| error.to_string())?;
        let fields = MapDeserializer::<_, serde_json::Error>::new(fields.into_iter());
        serde_path_to_error::deserialize(fields).map_err(|error| error.to_string())
    }

    /// Whether it is about more than words.
    pub fn thinks(&self) -> bool {
        self.latent_steps.max > 0 || !self.start.is_empty() || !self.end.is_empty()
    }

    /// When answers end.
    pub fn stop_rule(&self) -> StopRule {
        StopRule { eos: self.eos.clone(), eos_count: self.eos_count }
    }

    /// The text to encode for a question.
    pub fn render(&self, question: &str) -> String {
        let question = match self.question {
            QuestionRule::AsIs => question.to_owned(),
            QuestionRule::Tidied => question.trim().replace("  ", " "),
        };
        self.prompt.replace("{question}", &question)
    }

    /// Refuses ids outside the vocabulary and numbers that no answer can come from. `text` is how an id reads.
    pub fn check(&self, config: &Config, text: impl Fn(u32) -> String) -> Result<(), String> {
        let pause = self.pause.into_iter().collect();
        let lists = [
            ("start", &self.start),
            ("end", &self.end),
            ("eos", &self.eos),
            ("masked", &self.masked),
            ("pause", &pause),
        ];
        for (field, ids) in lists {
            if let Some(id) = ids.iter().find(|&&id| id as usize >= config.vocab_size) {
                return Err(format!(
                    "`{field}` names id {id} ({:?}), outside the vocabulary of {}: the embedding has no row for it",
                    text(*id),
                    config.vocab_size
                ));
            }
        }
        let counts = [
            ("latent_steps.max", self.latent_steps.max),
            ("max_tokens", self.max_tokens.unwrap_or(1)),
            ("eos_count", self.eos_count),
        ];
        if let Some((field, count)) = counts.into_iter().find(|(_, count)| *count > MAX_SIZE) {
            return Err(format!(
                "`{field}` is {count}; no model has more than {MAX_SIZE} positions"
            ));
        }
        if self.latent_steps.default > self.latent_steps.max {
            return Err("`latent_steps.default` is more than `latent_steps.max`".to_owned());
        }
        if self.max_tokens == Some(0) {
            return Err("`max_tokens` is 0; no answer would ever begin".to_owned());
        }
        if self.lora_alpha.is_some_and(|alpha| !alpha.is_finite()) {
            return Err("`lora_alpha` is no number".to_owned());
        }
        if self.eos_count == 0 {
            return Err("`eos_count` is 0; no answer would ever end".to_owned());
        }
        if !self.prompt.contains("{question}") {
            return Err("`prompt` has no {question}".to_owned());
        }
        Ok(())
    }
}

/// The fields of an object that say something: null is absence, as in every file that Python programs write.
struct Stated(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Stated {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(StatedVisitor)
    }
}

struct StatedVisitor;

impl<'de> Visitor<'de> for StatedVisitor {
    type Value = Stated;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object, the recipe")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Stated, A::Error> {
        let mut fields = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if !value.is_null() {
                fields.push((name, value));
            }
        }
        Ok(Stated(fields))
    }
}

fn question_and_newline() -> String {
    "{question}\n".to_owned()
}

fn yes() -> bool {
    true
}

fn one() -> usize {
    1
}

#[cfg(test)]
mod tests {
    use super::Recipe;
    use serde_json::Value;
    use serde_json::json;

    fn full() -> Value {
        let recipe: Value = json!({
            "family": "mine", "prompt": "{question}?", "add_special_tokens": false, "start": [1], "end": [2],
            "latent_steps": {"default": 2, "max": 3}, "eos": [3], "eos_count": 2, "masked": [4],
            "answer": "whole", "question": "tidied", "chat": "question", "tools": {"form": "react", "thoughts": false}, "max_tokens": 5, "pause": 6,
            "lora_alpha": 1.5,
        });
        let read = Recipe::from_json(&recipe.to_string()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), recipe);
        // No field is left out: a refusal lists them all.
        let known = Recipe::from_json(r#"{"?": 1}"#).unwrap_err();
        let known = known.split('`').skip(3).step_by(2).count();
        assert_eq!(known, recipe.as_object().unwrap().len());
        recipe
    }

    #[test]
    fn null_says_what_absence_says() {
        let full = full();
        let fields = full.as_object().unwrap();
        let mut required = Vec::new();
        for field in fields.keys() {
            let (mut without, mut null) = (fields.clone(), fields.clone());
            without.remove(field);
            null.insert(field.clone(), Value::Null);
            let [without, null] =
                [without, null].map(|json| Recipe::from_json(&json!(json).to_string()));
            assert_eq!(null, without, "{field}");
            required.extend(null.is_err().then_some(field.as_str()));
        }
        assert_eq!(required, ["eos", "family", "latent_steps"]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_field() {
        for (text, said) in [
            (r#"{"family": "a", "latent_steps": {"default": 1, "max": "2"}}"#, "latent_steps.max"),
            (r#"{"start": [1, -2]}"#, "start[1]"),
            (r#"{"answer": "hash"}"#, "answer: unknown variant `hash`"),
            (r#"{"lora_alpha": 1e999}"#, "lora_alpha: number out of range"),
            (r#"{"eos": [1], "eos": [2]}"#, "duplicate field `eos`"),
            (r#"{"eoss": [1]}"#, "unknown field `eoss`"),
            ("[1]", "expected an object"),
            (r#"{"family": "a", }"#, "line 1"),
        ] {
            let error = Recipe::from_json(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
        let twice = format!("{0}{0}", full());
        assert!(Recipe::from_json(&twice).unwrap_err().contains("trailing characters"));
    }
}
