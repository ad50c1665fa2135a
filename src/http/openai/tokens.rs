//! `POST /tokenize`, `POST /detokenize`, `GET /tokenizer_info`: the served model's tokenizer, for clients that count or score.

use crate::http::asking::ask::loaded;
use crate::http::desk::Work;
use crate::http::error::ApiError;
use crate::http::error::ErrorBody;
use crate::http::error::Fields;
use crate::http::extract::Deadline;
use crate::http::extract::FromGroups;
use crate::http::extract::Groups;
use crate::http::extract::parse;
use crate::http::object::objects_or_none;
use crate::http::openai::calls::declared;
use crate::http::openai::chat::messages::MessageBody;
use crate::http::openai::chat::messages::messages;
use crate::http::refusals::Refusals;
use crate::http::state::AppState;
use crate::http::whole::list;
use crate::reason::question::Asked;
use crate::text::chat::Conversation;
use crate::text::chat::Json as AnyJson;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

const FIELDS: Fields = Fields { question: "prompt", max_tokens: "prompt" };

/// The most ids of one request.
const MAX_IDS: usize = 1 << 20;

/// What is to be tokenized: `prompt`, or `messages`.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(example = json!({"prompt": "Is Tom a zumpus or a lempus?"}))]
pub(in crate::http) struct TokenizeRequest {
    /// A text.
    prompt: Option<String>,
    /// A conversation, as `/v1/chat/completions` feeds it.
    #[schema(min_items = 1)]
    #[serde(default, deserialize_with = "objects_or_none")]
    messages: Option<Vec<MessageBody>>,
    /// Whether the tokenizer adds its own special tokens to a `prompt`.
    #[schema(default = true)]
    add_special_tokens: Option<bool>,
    /// What may be called: given to the chat template.
    #[schema(value_type = Option<Vec<Object>>)]
    tools: Option<Vec<AnyJson>>,
    /// Whether to tell the texts of the tokens.
    #[schema(default = false)]
    return_token_strs: Option<bool>,
}

/// Token ids.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct TokenizeResponse {
    /// How many.
    count: usize,
    /// Most positions of prompt, thoughts and answer together.
    max_model_len: usize,
    tokens: Vec<u32>,
    /// As the vocabulary has them.
    #[schema(required)]
    token_strs: Option<Vec<String>>,
}

/// Token ids whose text is wanted.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(example = json!({"tokens": [1, 2]}))]
pub(in crate::http) struct DetokenizeRequest {
    #[schema(max_items = 1_048_576)]
    #[serde(deserialize_with = "list")]
    tokens: Vec<u32>,
}

/// A text.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct DetokenizeResponse {
    /// Markers stand in it by their names.
    prompt: String,
}

impl FromGroups for TokenizeRequest {
    fn from_groups(body: &[u8]) -> Result<Self, ApiError> {
        parse(body)
    }
}

impl FromGroups for DetokenizeRequest {
    fn from_groups(body: &[u8]) -> Result<Self, ApiError> {
        parse(body)
    }
}

/// Turn text into token ids
#[utoipa::path(post, path = "/tokenize", tag = "openai", security((), ("api_key" = [])), request_body = TokenizeRequest, responses(
    (status = 200, description = "the ids", body = TokenizeResponse),
    (status = 400, description = "the body is not JSON, or a field has a value that is not allowed", body = ErrorBody),
    Refusals,
))]
pub(in crate::http) async fn tokenize(
    State(state): State<AppState>,
    Deadline(deadline): Deadline,
    Groups(request): Groups<TokenizeRequest>,
) -> Result<Json<TokenizeResponse>, ApiError> {
    let reasoner = Arc::clone(&loaded(&state)?.reasoner);
    let shows_texts = request.return_token_strs.unwrap_or(false);
    let is_special = request.add_special_tokens.unwrap_or(true);
    let tools = checked_tools(request.tools)?;
    let asked = match (request.prompt, request.messages) {
        (Some(text), None) => Asked::Text(text),
        (None, Some(bodies)) => Asked::Chat(Conversation {
            messages: messages("messages", bodies)?,
            tools: tools.filter(|tools| !tools.is_empty()).map(AnyJson::list),
            ..Conversation::default()
        }),
        _ => return Err(ApiError::invalid("prompt", "either `prompt` or `messages` is required")),
    };
    let work = Work::Tokenize(asked.bytes());
    let tokenized = move || {
        let tokens = reasoner.ids(&asked, is_special);
        let tokens = tokens.map_err(|error| ApiError::refused(error, FIELDS))?;
        let name = |&id: &u32| reasoner.token_name(id);
        let token_strs = shows_texts.then(|| tokens.iter().map(name).collect());
        let max_model_len = reasoner.card().max_positions;
        Ok(TokenizeResponse { count: tokens.len(), max_model_len, tokens, token_strs })
    };
    state.reading().run(work, deadline, tokenized).await?.map(Json)
}

/// What may be called, if each says what it is.
fn checked_tools(tools: Option<Vec<AnyJson>>) -> Result<Option<Vec<AnyJson>>, ApiError> {
    declared(tools.as_deref().unwrap_or_default())?;
    Ok(tools)
}

/// Turn token ids into text
#[utoipa::path(post, path = "/detokenize", tag = "openai", security((), ("api_key" = [])), request_body = DetokenizeRequest, responses(
    (status = 200, description = "the text", body = DetokenizeResponse),
    (status = 400, description = "the body is not JSON, or a field has a value that is not allowed", body = ErrorBody),
    Refusals,
))]
pub(in crate::http) async fn detokenize(
    State(state): State<AppState>,
    Deadline(deadline): Deadline,
    Groups(request): Groups<DetokenizeRequest>,
) -> Result<Json<DetokenizeResponse>, ApiError> {
    let reasoner = Arc::clone(&loaded(&state)?.reasoner);
    let ids = request.tokens;
    if ids.len() > MAX_IDS {
        return Err(ApiError::invalid("tokens", format!("at most {MAX_IDS}")));
    }
    let vocabulary = reasoner.card().vocabulary;
    if let Some(at) = ids.iter().position(|&id| id as usize >= vocabulary) {
        let message = format!("must be below {vocabulary}, the size of the vocabulary");
        return Err(ApiError::invalid(&format!("tokens[{at}]"), message));
    }
    let work = Work::Tokenize(4 * ids.len());
    let written = move || DetokenizeResponse { prompt: reasoner.pieces(&ids).concat() };
    Ok(Json(state.reading().run(work, deadline, written).await?))
}

/// Tell what is beside the tokenizer
///
/// `tokenizer_config.json` as the checkpoint has it, with at least `eos_token`.
#[utoipa::path(get, path = "/tokenizer_info", tag = "openai", security((), ("api_key" = [])), responses(
    (status = 200, description = "the settings", body = Object, content_type = "application/json"),
    (status = 401, description = "no valid API key", body = ErrorBody),
    (status = 503, description = "the model is being loaded", body = ErrorBody),
))]
pub(in crate::http) async fn tokenizer_info(
    State(state): State<AppState>,
) -> Result<impl IntoResponse, ApiError> {
    let info = state.served()?.reasoner.tokenizer_info();
    Ok(([(header::CONTENT_TYPE, "application/json")], info))
}
