//! Log-probabilities as `/v1/completions` writes them: lists side by side, one entry a token.

use crate::engine::request::Scored;
use crate::engine::request::Token;
use crate::reason::reasoner::Reasoner;
use crate::reason::types::PromptToken;
use crate::reason::types::TokenText;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Of a choice, or of what a chunk adds to it.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = CompletionLogprobs)]
pub(super) struct LogprobsBody {
    /// Texts; all of them together are the choice's.
    tokens: Vec<String>,
    /// Natural logarithms of probabilities at temperature 1; of a prompt's first token there is none.
    token_logprobs: Vec<Option<f32>>,
    /// The most likely tokens in each place.
    top_logprobs: Vec<Option<BTreeMap<String, f32>>>,
    /// Where each begins in the choice's text, in characters.
    text_offset: Vec<usize>,
}

impl LogprobsBody {
    /// Adds a prompt's tokens, which read as `pieces`, behind `offset` characters.
    pub(super) fn prompt(
        &mut self,
        tokens: &[PromptToken],
        pieces: Vec<String>,
        offset: &mut usize,
        reasoner: &Reasoner,
    ) {
        for (token, piece) in tokens.iter().zip(pieces) {
            let top = token.logprob.map(|_| &token.top[..]);
            self.push((token.id, piece, token.logprob), top, offset, reasoner);
        }
    }

    pub(super) fn token(&mut self, token: &TokenText, offset: &mut usize, reasoner: &Reasoner) {
        let said = (token.id, token.text.clone(), token.logprob);
        self.push(said, Some(&token.top), offset, reasoner);
    }

    /// What ended an answer, which has no text.
    pub(super) fn ending(&mut self, token: &Token, offset: &mut usize, reasoner: &Reasoner) {
        let said = (token.id, String::new(), token.logprob);
        self.push(said, Some(&token.top), offset, reasoner);
    }

    fn push(
        &mut self,
        (id, text, logprob): (u32, String, Option<f32>),
        top: Option<&[Scored]>,
        offset: &mut usize,
        reasoner: &Reasoner,
    ) {
        // Tokens that read alike have one entry, that of the likelier.
        let name = |top: &Scored| match top.id == id && !text.is_empty() {
            // As it reads here, so that it is found by its text.
            true => text.clone(),
            false => reasoner.token_text(top.id),
        };
        let named = |top: &Scored| (name(top), top.logprob);
        self.top_logprobs.push(top.map(|top| top.iter().rev().map(named).collect()));
        self.text_offset.push(*offset);
        *offset += text.chars().count();
        self.tokens.push(text);
        self.token_logprobs.push(logprob);
    }
}
