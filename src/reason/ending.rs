//! What comes behind the thoughts, from what is asked: answers within the positions that there are, or continuations in ids.
//! Knows the checkpoint's words and limits; no thoughts.

use crate::latent::script::StopRule;
use crate::reason::question::AskError;
use crate::reason::question::DEFAULT_MAX_TOKENS;
use crate::reason::question::Saying;
use crate::reason::reasoner::Reasoner;
use crate::reason::scoring::Continuation;
use crate::reason::scoring::Scoring;
use crate::reason::shape::Ending;
use crate::reason::shape::MaxTokens;
use crate::text::encode::Unknown;

impl Reasoner {
    pub(super) fn said(&self, saying: &Saying) -> Ending {
        let most = self.recipe.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS);
        let positions = self.engine.max_positions();
        Ending::Say {
            samples: saying.samples,
            max_tokens: match saying.max_tokens {
                // No question leaves room for so many: the engine says so.
                Some(most) if most > positions => MaxTokens::Exactly(most),
                asked => MaxTokens::Within(asked.unwrap_or(most), positions),
            },
            stop: match saying.ignore_eos {
                true => StopRule::NEVER,
                false => self.recipe.stop_rule(),
            },
            sampling: saying.sampling.clone(),
        }
    }

    pub(super) fn scored(
        &self,
        scoring: &Scoring,
        unknown: &mut Unknown,
    ) -> Result<Ending, AskError> {
        let mut ids = |index, text: &str| {
            let encoded = self.tokenizer.encode_whole(text, false);
            let encoded = encoded
                .map_err(|error| AskError::Continuation { index, reason: error.to_string() })?;
            unknown.extend(encoded.unknown);
            Ok::<_, AskError>(encoded.ids)
        };
        let prefix =
            if scoring.prefix.is_empty() { Vec::new() } else { ids(None, &scoring.prefix)? };
        let continuation = |(index, continuation): (usize, &Continuation)| {
            let ids = match continuation {
                Continuation::Text(text) => ids(Some(index), text)?,
                Continuation::Ids(ids) => ids.clone(),
            };
            match ids.is_empty() {
                true => Err(AskError::Continuation {
                    index: Some(index),
                    reason: "has no tokens".to_owned(),
                }),
                false => Ok(ids),
            }
        };
        let continuations = scoring.continuations.iter().enumerate().map(continuation);
        let continuations = continuations.collect::<Result<_, _>>()?;
        Ok(Ending::Score { prefix, continuations })
    }
}
