//! What a served checkpoint makes of text: ids, their texts, what is beside its tokenizer. No question is asked here.

use crate::latent::recipe::ToolForm;
use crate::latent::script::Fed;
use crate::reason::prompt::Prompt;
use crate::reason::prompt::Reader;
use crate::reason::question::AskError;
use crate::reason::question::Asked;
use crate::reason::reasoner::Reasoner;
use crate::text::chat::ChatTemplate;
use crate::text::encode::Unknown;

impl Reasoner {
    pub(super) fn reader(&self) -> Reader<'_> {
        let Self { tokenizer, recipe, chat, .. } = self;
        Reader { tokenizer, recipe, chat, available: self.engine.max_positions() }
    }

    /// The first id of a word in the middle of a text.
    pub fn first_id(&self, word: &str) -> Option<u32> {
        self.tokenizer.encode(&format!(" {word}"), false).ok()?.first().copied()
    }

    /// The most answer tokens of a conversation that names no number, where the recipe names none either and conversations
    /// go through a template: as many as there is room for.
    pub fn room_in_chats(&self) -> Option<usize> {
        let is_open = self.recipe.max_tokens.is_none();
        let is_chat = matches!(self.reader().template(), Ok(Some(_)));
        (is_open && is_chat).then(|| self.engine.max_positions())
    }

    /// How calls of tools are written, if this model knows that.
    pub fn tool_form(&self) -> Option<&ToolForm> {
        self.recipe.tools.as_ref()
    }

    /// The template that conversations go through.
    pub fn chat_template(&self) -> Option<&str> {
        self.reader().template().ok().flatten().map(ChatTemplate::source)
    }

    /// Whether this model asks tools on its way to an answer.
    pub fn acts(&self) -> bool {
        self.card().calls_tools
    }

    /// Whether thoughts or markers come before what is said.
    pub(super) fn thinks(&self) -> bool {
        self.recipe.thinks()
    }

    /// The markers before and behind thoughts.
    pub(super) fn markers(&self) -> (&[u32], &[u32]) {
        (&self.recipe.start, &self.recipe.end)
    }

    /// The ids of a text in the middle of others.
    pub(super) fn encode(&self, text: &str) -> Result<Vec<u32>, AskError> {
        let ids = self.tokenizer.encode(text, false);
        ids.map_err(|error| AskError::Tokenizer(error.to_string()))
    }

    /// What is asked, without the start markers, and what of it is unknown.
    pub(super) fn unmarked(&self, asked: &Asked) -> Result<(Vec<Fed>, Unknown), AskError> {
        let Prompt { mut before, unknown, .. } = self.reader().read(asked)?;
        before.truncate(before.len().saturating_sub(self.recipe.start.len()));
        Ok((before, unknown))
    }

    /// The ids of what is asked, with nothing said about thoughts; `is_special` is whether a text gets the tokenizer's own
    /// special tokens.
    ///
    /// # Errors
    /// Where it cannot be encoded.
    pub fn ids(&self, asked: &Asked, is_special: bool) -> Result<Vec<u32>, AskError> {
        match asked {
            Asked::Text(text) => {
                let ids = self.tokenizer.encode(text, is_special);
                ids.map_err(|error| AskError::Tokenizer(error.to_string()))
            }
            _ => {
                let prompt = self.reader().read(asked)?;
                Ok(prompt.before.iter().filter_map(Fed::id).collect())
            }
        }
    }

    /// `tokenizer_config.json`, with the end of a sequence and the chat template wherever they are stated.
    pub fn tokenizer_info(&self) -> String {
        let eos = self.recipe.eos.first().map(|&id| self.tokenizer.name(id));
        self.chat.tokenizer_info(eos)
    }

    /// An id as the vocabulary has it.
    pub fn token_name(&self, id: u32) -> String {
        self.tokenizer.name(id)
    }

    /// The texts that ids add to each other, those of markers by their names: all together are the text that they stand for.
    pub fn pieces(&self, ids: &[u32]) -> Vec<String> {
        self.tokenizer.pieces(ids)
    }

    /// The text of one id, for showing thoughts.
    pub fn token_text(&self, id: u32) -> String {
        self.tokenizer.token_text(id)
    }
}
