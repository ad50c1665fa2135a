//! How much was computed, in OpenAI's words. Knows no route.

use crate::reason::types::Usage;
use serde::Serialize;
use utoipa::ToSchema;

/// Counts of tokens.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
#[schema(as = OpenAiUsage)]
pub(super) struct UsageCounts {
    /// Of prompts, start markers included.
    prompt_tokens: usize,
    /// Of answers, latent steps included.
    completion_tokens: usize,
    /// The sum.
    total_tokens: usize,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

/// Of prompts.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub(super) struct PromptDetails {
    /// Positions of prompts that were read from memory.
    cached_tokens: usize,
}

/// Of answers.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub(super) struct CompletionDetails {
    /// Latent steps.
    reasoning_tokens: usize,
}

impl UsageCounts {
    /// Of prompts that are being answered.
    pub(super) fn begun(prompt_tokens: usize) -> Self {
        Self { prompt_tokens, total_tokens: prompt_tokens, ..Self::default() }
    }

    /// So many positions of prompts are being answered by now.
    pub(super) fn ask(&mut self, prompt_tokens: usize) {
        self.prompt_tokens = prompt_tokens;
        self.total_tokens = self.prompt_tokens + self.completion_tokens;
    }

    pub(super) fn add(&mut self, usage: &Usage) {
        self.prompt_tokens += usage.prompt_tokens;
        self.completion_tokens += usage.completion_tokens + usage.latent_steps;
        self.total_tokens = self.prompt_tokens + self.completion_tokens;
        // Thoughts are read from memory, too, and are no part of a prompt.
        self.prompt_tokens_details.cached_tokens += usage.cached_prompt();
        self.completion_tokens_details.reasoning_tokens += usage.latent_steps;
    }

    /// One more token of an answer.
    pub(super) fn count_token(&mut self) {
        self.completion_tokens += 1;
        self.total_tokens += 1;
    }

    /// One more thought.
    pub(super) fn count_thought(&mut self) {
        self.count_token();
        self.completion_tokens_details.reasoning_tokens += 1;
    }
}
