//! The manifest `coconut.json`: how a question becomes an answer with this checkpoint. Where it is absent, the ids in
//! config.json say it. Knows ids and templates, no tokenizer and no weights.

use crate::latent::program::StopRule;
use crate::model::config::Config;
use serde::Deserialize;
use serde::Serialize;
use std::path::Path;
use std::path::PathBuf;

/// The largest number of latent steps a recipe allows where it does not say.
const DEFAULT_MAX_LATENT_STEPS: usize = 32;

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

/// What part of the decoded text is the answer.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerRule {
    /// All of it, trimmed.
    #[default]
    Whole,
    /// What follows the last `#`, without commas, trimmed (the Coconut code's `run.py`).
    AfterHash,
}

/// Why there is no recipe.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The manifest cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The manifest.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The manifest is not a recipe.
    #[error("{path}: {reason}", path = path.display())]
    Malformed {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Neither a manifest nor the ids that would stand in for it.
    #[error(
        "the checkpoint has no coconut.json, and config.json lacks {}: no recipe can be made up for it",
        .0.join(", ")
    )]
    Unknown(Vec<&'static str>),
}

impl Recipe {
    /// The manifest of a checkpoint folder, or what its config.json implies.
    pub fn load(folder: &Path, config: &Config) -> Result<Self, RecipeError> {
        let path = folder.join("coconut.json");
        let recipe = match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| RecipeError::Malformed {
                path: path.clone(),
                reason: error.to_string(),
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Self::from_config(config)?
            }
            Err(source) => return Err(RecipeError::Io { path, source }),
        };
        recipe.check(config).map_err(|reason| RecipeError::Malformed { path, reason })?;
        Ok(recipe)
    }

    /// Coconut's recipe with the marker ids of config.json: question and newline, start, 6 thoughts, end.
    pub fn from_config(config: &Config) -> Result<Self, RecipeError> {
        let latent = config.latent;
        let (Some(start), Some(end)) = (latent.latent_start_id, latent.latent_end_id) else {
            let wanted = [
                ("latent_start_id", latent.latent_start_id),
                ("latent_end_id", latent.latent_end_id),
            ];
            let missing =
                wanted.iter().filter(|(_, id)| id.is_none()).map(|(name, _)| *name).collect();
            return Err(RecipeError::Unknown(missing));
        };
        Ok(Self {
            family: "coconut".to_owned(),
            prompt: question_and_newline(),
            add_special_tokens: true,
            start: vec![start],
            end: vec![end],
            latent_steps: LatentSteps { default: 6, max: DEFAULT_MAX_LATENT_STEPS },
            eos: config.eos_ids.clone(),
            eos_count: 1,
            masked: Vec::new(),
            answer: AnswerRule::AfterHash,
        })
    }

    /// When answers end.
    pub fn stop_rule(&self) -> StopRule {
        StopRule { eos: self.eos.clone(), eos_count: self.eos_count }
    }

    /// The text to encode for a question.
    pub fn render(&self, question: &str) -> String {
        self.prompt.replace("{question}", question)
    }

    fn check(&self, config: &Config) -> Result<(), String> {
        let lists = [
            ("start", &self.start),
            ("end", &self.end),
            ("eos", &self.eos),
            ("masked", &self.masked),
        ];
        for (field, ids) in lists {
            if let Some(id) = ids.iter().find(|&&id| id as usize >= config.vocab_size) {
                return Err(format!(
                    "`{field}` names id {id}, outside the vocabulary of {}",
                    config.vocab_size
                ));
            }
        }
        if self.latent_steps.default > self.latent_steps.max {
            return Err("`latent_steps.default` is more than `latent_steps.max`".to_owned());
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

impl AnswerRule {
    /// The answer within the decoded text.
    pub fn extract(self, text: &str) -> String {
        match self {
            Self::Whole => text.trim().to_owned(),
            Self::AfterHash => {
                text.rsplit('#').next().unwrap_or_default().replace(',', "").trim().to_owned()
            }
        }
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
    use super::AnswerRule;

    #[test]
    fn the_answer_follows_the_last_hash() {
        let extract = |text| AnswerRule::AfterHash.extract(text);
        assert_eq!(extract("### Bob is a lempus."), "Bob is a lempus.");
        assert_eq!(extract("<<1000+5=1005>>\n### 1,005"), "1005");
        assert_eq!(extract("no marker "), "no marker");
    }
}
