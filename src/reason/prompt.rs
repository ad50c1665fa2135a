//! From what is asked to the ids that are fed before and behind the thoughts: a question in its recipe, a conversation in its
//! template, a text or ids as they stand. Knows the checkpoint's words; no thoughts and no script.

use crate::latent::chat::Chat;
use crate::latent::recipe::ChatRule;
use crate::latent::recipe::Recipe;
use crate::latent::recipe::ToolForm;
use crate::latent::script::Fed;
use crate::latent::script::ids;
use crate::reason::question::AskError;
use crate::reason::question::Asked;
use crate::reason::question::THOUGHTS_HERE;
use crate::text::Tokenizer;
use crate::text::chat::ChatTemplate;
use crate::text::chat::Conversation;
use crate::text::chat::Json;
use crate::text::chat::Message;
use crate::text::encode::Encoded;
use crate::text::encode::Unknown;
use crate::text::encode::Within;
use crate::tools::react::ReactForm;
use crate::tools::react::Round;

/// Ids around the thoughts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Prompt {
    /// With the start markers.
    pub(crate) before: Vec<Fed>,
    /// Behind the end markers.
    pub(crate) after: Vec<u32>,
    pub(crate) unknown: Unknown,
    /// Whether it says itself where thoughts go.
    pub(crate) is_marked: bool,
    /// Whether it says the end markers, too.
    pub(crate) has_written_end: bool,
}

/// A checkpoint's words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) tokenizer: &'a Tokenizer,
    pub(crate) recipe: &'a Recipe,
    pub(crate) chat: &'a Chat,
    /// Positions that there are.
    pub(crate) available: usize,
}

const TWICE: &str = "says twice where thoughts go";

impl<'a> Reader<'a> {
    pub(crate) fn read(&self, asked: &Asked) -> Result<Prompt, AskError> {
        match asked {
            Asked::Question(question) => self.question(question),
            Asked::Text(text) => self.text(text, self.recipe.add_special_tokens),
            Asked::Ids(ids) => self.placed(ids.clone(), Unknown::default()),
            Asked::Inputs(inputs) => Ok(Prompt {
                before: match inputs.is_plain {
                    true => inputs.before.clone(),
                    false => [&inputs.before[..], &ids(&self.recipe.start)].concat(),
                },
                after: inputs.after.clone(),
                is_marked: true,
                ..Prompt::default()
            }),
            Asked::Chat(conversation) => match self.template()? {
                Some(template) => {
                    let text = template.render(conversation).map_err(AskError::Conversation)?;
                    let prompt = self.text(&text, false)?;
                    self.led(prompt, &conversation.lead)
                }
                None => match &self.recipe.tools {
                    Some(ToolForm::React(form)) if conversation.tools.is_some() => {
                        self.rounds(form, conversation)
                    }
                    _ => self.question(last_user_message(conversation)?),
                },
            },
        }
    }

    /// The template that conversations go through.
    pub(crate) fn template(&self) -> Result<Option<&'a ChatTemplate>, AskError> {
        let template = match (self.recipe.chat, &self.chat.template) {
            (Some(ChatRule::Question), _) => return Ok(None),
            (None, _) if self.recipe.thinks() => return Ok(None),
            (Some(ChatRule::Template), None) => Err("the checkpoint has no chat template"),
            (None, None) => return Ok(None),
            (_, Some(template)) => template.as_ref().map_err(String::as_str),
        };
        template.map(Some).map_err(|reason| AskError::Conversation(reason.to_owned()))
    }

    /// With what is said for the model behind the thoughts.
    fn led(&self, mut prompt: Prompt, lead: &str) -> Result<Prompt, AskError> {
        if !lead.is_empty() {
            let Encoded { ids, unknown } = self.encode(lead, false)?;
            prompt.after.extend(ids);
            prompt.unknown.extend(unknown);
        }
        Ok(prompt)
    }

    /// A conversation in which a client's tools were called, as the dialogue that the model learnt.
    fn rounds(&self, form: &ReactForm, conversation: &Conversation) -> Result<Prompt, AskError> {
        let question = last_user_message(conversation)?;
        let last = conversation.messages.iter().rposition(|message| message.role == "user");
        let rounds = rounds(&conversation.messages[last.unwrap_or(0)..]);
        let opening = form.opening(form.opens_with(), rounds.len() + 1);
        let prompt = self.question(question)?;
        self.led(prompt, &format!("{}{opening}", form.written(&rounds)))
    }

    fn question(&self, question: &str) -> Result<Prompt, AskError> {
        if question.trim().is_empty() {
            return Err(AskError::EmptyQuestion);
        }
        let text = self.recipe.render(question);
        let Encoded { ids: mut before, unknown } =
            self.encode(&text, self.recipe.add_special_tokens)?;
        // What is fed would be the template's own words, and the answer one to no question.
        if unknown.tokens > 0 && self.encode(question, false)?.ids.is_empty() {
            return Err(AskError::UnreadQuestion);
        }
        before.extend(&self.recipe.start);
        Ok(Prompt { before: ids(&before), unknown, ..Prompt::default() })
    }

    fn text(&self, text: &str, add_special_tokens: bool) -> Result<Prompt, AskError> {
        let Some((before, after)) = text.split_once(THOUGHTS_HERE) else {
            let Encoded { ids, unknown } = self.encode(text, add_special_tokens)?;
            return self.placed(ids, unknown);
        };
        if !self.recipe.thinks() {
            let Encoded { ids: read, unknown } = self.encode(text, add_special_tokens)?;
            return Ok(Prompt { before: ids(&read), unknown, ..Prompt::default() });
        }
        if after.contains(THOUGHTS_HERE) {
            return Err(AskError::Prompt(TWICE));
        }
        if self.has_marked_start() {
            // In one piece: words are read with those around them.
            let start = self.recipe.start.iter().map(|&id| self.tokenizer.name(id));
            let text = text.replacen(THOUGHTS_HERE, &start.collect::<String>(), 1);
            let Encoded { ids, unknown } = self.encode(&text, add_special_tokens)?;
            return self.placed(ids, unknown);
        }
        let Encoded { ids: mut first, mut unknown } = self.encode(before, add_special_tokens)?;
        first.extend(&self.recipe.start);
        let Encoded { ids: after, unknown: unknown_after } = self.encode(after, false)?;
        unknown.extend(unknown_after);
        Ok(Prompt { before: ids(&first), after, unknown, is_marked: true, ..Prompt::default() })
    }

    /// Parts ids where the start markers are among them; else thoughts go behind all.
    fn placed(&self, mut all: Vec<u32>, unknown: Unknown) -> Result<Prompt, AskError> {
        let start = &self.recipe.start;
        let end = if self.has_marked_start() { all.len() } else { 0 };
        let found: Vec<usize> = (0..end).filter(|&at| all[at..].starts_with(start)).collect();
        match found[..] {
            [] => {
                all.extend(start);
                Ok(Prompt { before: ids(&all), unknown, ..Prompt::default() })
            }
            [at] => {
                let after = all.split_off(at + start.len());
                // Who writes the end markers as well means those that are fed anyway.
                let end = &self.recipe.end[..];
                let behind = after.strip_prefix(end).filter(|_| !end.is_empty());
                let has_written_end = behind.is_some();
                let after = behind.map(<[u32]>::to_vec).unwrap_or(after);
                Ok(Prompt { before: ids(&all), after, unknown, is_marked: true, has_written_end })
            }
            _ => Err(AskError::Prompt(TWICE)),
        }
    }

    /// Whether the start markers are no words, so that nobody says them by chance.
    fn has_marked_start(&self) -> bool {
        let start = &self.recipe.start;
        !start.is_empty() && start.iter().all(|&id| self.tokenizer.is_added(id))
    }

    fn encode(&self, text: &str, add_special_tokens: bool) -> Result<Encoded, AskError> {
        let encoded = self.tokenizer.encode_within(text, add_special_tokens, self.available);
        match encoded.map_err(|error| AskError::Tokenizer(error.to_string()))? {
            Within::Whole(encoded) => Ok(encoded),
            Within::TooLong { bytes, tokens } => {
                Err(AskError::TooLong { bytes, tokens, available: self.available })
            }
        }
    }
}

fn last_user_message(conversation: &Conversation) -> Result<&str, AskError> {
    let last = conversation.messages.iter().rev().find(|message| message.role == "user");
    let content = last.and_then(|message| message.content.as_deref());
    content.ok_or_else(|| AskError::Conversation("there is no message of a user".to_owned()))
}

/// Calls and what came of them, in order.
fn rounds(messages: &[Message]) -> Vec<Round> {
    let mut rounds: Vec<Round> = Vec::new();
    for message in messages {
        match message.role.as_str() {
            "assistant" => {
                let calls = message.more.get("tool_calls").map(Json::items).unwrap_or_default();
                let mut thought = message.content.clone().unwrap_or_default();
                rounds.extend(
                    calls.iter().map(|call| Round {
                        thought: std::mem::take(&mut thought),
                        ..called(call)
                    }),
                );
            }
            "tool" => {
                let open = rounds.iter_mut().find(|round| round.observation.is_none());
                if let Some(round) = open {
                    round.observation = message.content.clone();
                }
            }
            _ => {}
        }
    }
    rounds
}

/// A call as it stands between brackets: the values of its arguments.
fn called(call: &Json) -> Round {
    let function = call.get("function").unwrap_or_default();
    let action = function.get("name").and_then(|name| name.as_str().map(str::to_owned));
    let arguments = function.get("arguments").unwrap_or_default();
    let values = arguments.items().into_iter().map(|name| {
        let value = name.as_str().and_then(|name| arguments.get(name)).unwrap_or_default();
        value.to_string()
    });
    let argument = values.collect::<Vec<_>>().join(", ");
    Round { action: action.unwrap_or_default(), argument, ..Round::default() }
}
