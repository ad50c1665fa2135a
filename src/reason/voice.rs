//! What is said at one end of a script: ids become text token by token, and stop strings end it. Knows nothing of other
//! ends, of times and of channels.

use crate::engine::inside::Role;
use crate::engine::request::Finish;
use crate::engine::request::Given;
use crate::engine::request::InsideRow;
use crate::engine::request::Thought;
use crate::engine::request::Token;
use crate::latent::answer::AnswerRule;
use crate::reason::shape::End;
use crate::reason::types::Choice;
use crate::reason::types::TokenText;
use crate::text::Tokenizer;
use crate::text::decode::IncrementalDecoder;
use crate::text::stop::StopWatch;
use crate::text::stop::Watched;
use std::collections::VecDeque;
use std::sync::Arc;

/// One answer, or one continuation, in the making.
#[derive(Debug)]
pub(crate) struct Voice {
    tokenizer: Arc<Tokenizer>,
    decoder: IncrementalDecoder,
    watch: StopWatch,
    /// The last token while more text may come with it, were it the last: a character is unfinished, or a stop string may
    /// have begun.
    unsettled: Option<TokenText>,
    text: String,
    tokens: Vec<TokenText>,
    pub(crate) thoughts: Vec<Thought>,
    pub(crate) first_logits: Option<Vec<f32>>,
    pub(crate) scores: Vec<Given>,
    /// Rows of the answer whose tokens are not settled yet.
    pub(crate) rows: VecDeque<InsideRow>,
    /// The last token that was chosen and is none of the answer.
    ending: Option<Token>,
    finish: Option<Finish>,
    shows_stop: bool,
}

impl Voice {
    /// A voice whose text goes on behind that of `lead`.
    pub(crate) fn new(
        tokenizer: Arc<Tokenizer>,
        (stop, shows_stop): (Vec<String>, bool),
        lead: &[u32],
    ) -> Self {
        let mut decoder = tokenizer.decoder();
        for &id in lead {
            decoder.push(tokenizer.token(id));
        }
        Self {
            decoder,
            tokenizer,
            watch: StopWatch::new(stop),
            unsettled: None,
            text: String::new(),
            tokens: Vec::new(),
            thoughts: Vec::new(),
            first_logits: None,
            scores: Vec::new(),
            rows: VecDeque::new(),
            ending: None,
            finish: None,
            shows_stop,
        }
    }

    /// Whether it has ended; what comes later does not count.
    pub(crate) fn is_over(&self) -> bool {
        self.finish.is_some()
    }

    /// Tokens whose text is settled.
    pub(crate) fn tokens(&self) -> usize {
        self.tokens.len()
    }

    /// Notes a token that ends the answer, or would.
    pub(crate) fn end(&mut self, token: Token) {
        if !self.is_over() {
            self.ending = Some(token);
        }
    }

    /// The next row whose token is settled. Ids of a continuation are settled before.
    pub(crate) fn next_row(&mut self) -> Option<InsideRow> {
        let is_said = !self.tokens.is_empty() || self.unsettled.is_some();
        let told = self.tokens.len();
        let is_settled = |row: &mut InsideRow| match row.role {
            Role::Answer(index) => !is_said || (index as usize) < told,
            Role::Prompt | Role::Latent(_) | Role::Marker(_) => true,
        };
        self.rows.pop_front_if(is_settled)
    }

    /// Takes in a token. Those whose text is certain now.
    pub(crate) fn take(&mut self, token: Token) -> Vec<TokenText> {
        // What is unfinished will be given out with a later token.
        let mut settled = self.settle("");
        let fresh = self.decoder.push(self.tokenizer.token(token.id));
        self.unsettled = Some(TokenText {
            index: self.tokens.len(),
            id: token.id,
            text: String::new(),
            logprob: token.logprob,
            entropy: token.entropy,
            top: token.top,
        });
        match self.watch.push(&fresh) {
            Watched::Stopped { before, by } => {
                settled.extend(self.settle(&self.with_stop(before, &by)));
                self.finish = Some(Finish::Stop);
            }
            Watched::Go(text) => {
                if !self.decoder.is_unfinished() && !self.watch.is_holding() {
                    settled.extend(self.settle(&text));
                } else if let Some(last) = &mut self.unsettled {
                    last.text = text;
                }
            }
        }
        settled
    }

    /// Nothing follows. The token that was held back.
    pub(crate) fn finish(&mut self, finish: Finish) -> Vec<TokenText> {
        let rest = self.decoder.finish();
        let (text, finish) = match self.watch.push(&rest) {
            Watched::Stopped { before, by } => (self.with_stop(before, &by), Finish::Stop),
            Watched::Go(text) => (text + &self.watch.finish(), finish),
        };
        self.finish = Some(finish);
        self.settle(&text)
    }

    /// What precedes a stop string, with that where it is to be shown.
    fn with_stop(&self, before: String, by: &str) -> String {
        if self.shows_stop { before + by } else { before }
    }

    /// Gives out the token held back, with `text` behind its own.
    fn settle(&mut self, text: &str) -> Vec<TokenText> {
        let Some(mut token) = self.unsettled.take() else { return Vec::new() };
        token.text.push_str(text);
        self.text.push_str(&token.text);
        self.tokens.push(token.clone());
        vec![token]
    }

    /// All of it, with `shared` thoughts before its own.
    pub(crate) fn choice(self, end: End, shared: usize, rule: AnswerRule) -> Choice {
        Choice {
            latent_steps: end.latent_steps.unwrap_or(shared.max(steps(&self.thoughts))),
            number: end.number,
            answer: rule.extract(&self.text),
            text: self.text,
            finish: self.finish.unwrap_or(Finish::Done),
            thoughts: self.thoughts,
            tokens: self.tokens,
            first_logits: self.first_logits,
            scores: self.scores,
            ending: self.ending,
        }
    }
}

/// How many there are, those left out counted.
pub(crate) fn steps(thoughts: &[Thought]) -> usize {
    thoughts.last().map_or(0, |thought| thought.step)
}
