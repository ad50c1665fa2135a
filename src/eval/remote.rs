//! A question to a running server or a gateway (`POST /v1/reason`), and what came of it: refusals that say when to come
//! back are come back after. Knows the JSON of that route and of `/v1/models`, no file and no flags.

use crate::data::example::Example;
use crate::eval::report::Outcome;
use crate::eval::report::Sampled;
use crate::eval::settings::Asked;
use crate::eval::settings::Facts;
use crate::eval::settings::feedback_name;
use crate::latent::answer::AnswerRule;
use crate::reason::question::Feedback;
use crate::web::client::Client;
use crate::web::client::Failed;
use crate::web::client::Reply;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;
use tokio::time::timeout;

/// How often in a row a question is asked that the server has no answer to, though it may have one later.
const ATTEMPTS: usize = 5;

/// When to come back, where a refusal does not say.
const DEFAULT_RETRY: Duration = Duration::from_secs(1);

/// A server with its model.
#[derive(Debug)]
pub struct Remote {
    client: Client,
    facts: Facts,
    rule: AnswerRule,
    timeout: Duration,
}

/// Why a server cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// It does not say what it serves.
    #[error("{place}: {reason}")]
    Unknown {
        /// Its address.
        place: String,
        /// Why.
        reason: String,
    },
}

#[derive(Deserialize)]
struct Models {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
    coconut: ModelFacts,
}

#[derive(Deserialize)]
struct ModelFacts {
    #[serde(default)]
    fingerprint: Option<String>,
    family: String,
    default_latent_steps: usize,
    max_latent_steps: usize,
    #[serde(default)]
    calls_tools: bool,
}

#[derive(Deserialize)]
struct Said {
    answer: String,
    text: String,
    #[serde(default)]
    trajectory: Vec<Turn>,
    #[serde(default)]
    choices: Vec<Choice>,
    vote: Option<Vote>,
    usage: Usage,
    timings: Timings,
    #[serde(default)]
    warnings: Vec<Warning>,
}

#[derive(Deserialize)]
struct Turn {
    observation: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Choice {
    answer: String,
}

#[derive(Deserialize)]
struct Vote {
    count: usize,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: usize,
    completion_tokens: usize,
    latent_steps: usize,
}

impl Usage {
    fn positions(&self) -> usize {
        self.prompt_tokens + self.latent_steps + self.completion_tokens
    }
}

#[derive(Deserialize)]
struct Timings {
    total_ms: f64,
}

#[derive(Deserialize)]
struct Warning {
    message: String,
}

#[derive(Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    error: ErrorDetail,
}

#[derive(Default, Deserialize)]
struct ErrorDetail {
    #[serde(default)]
    message: String,
    param: Option<String>,
    #[serde(default)]
    code: String,
}

/// What a reply that is no answer means.
enum Refused {
    /// Come back after this time, however often.
    Later(Duration),
    /// Come back after this time, but not for ever.
    Perhaps(Duration, String),
    /// This question has no answer.
    Never(String),
    /// No question has.
    All(String),
}

impl Remote {
    /// Asks a server what it serves. `rule` is what part of a text is its answer; where it is `None`, the usual one of
    /// the model's family is.
    ///
    /// # Errors
    /// Where it cannot be asked, or is no server of ours.
    pub async fn meet(
        client: Client,
        rule: Option<AnswerRule>,
        timeout: Duration,
    ) -> Result<Self, RemoteError> {
        let place = client.base().to_string();
        let unknown = |reason| RemoteError::Unknown { place: place.clone(), reason };
        let facts = facts(&client, timeout).await.map_err(unknown)?;
        let rule = rule.unwrap_or_else(|| usual_rule(&facts.family));
        Ok(Self { client, facts, rule, timeout })
    }

    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What came of a question; an error where nothing will come of any other.
    pub(super) async fn ask(&self, asked: &Asked<'_>) -> Result<Outcome, String> {
        let (to, body) =
            (self.client.at("/v1/reason"), body(asked, self.facts.calls_tools).to_string());
        let mut attempts = 0;
        loop {
            let exchange =
                async { Reply::read(self.client.post(&to, body.clone().into()).await?).await };
            let wait = match refused(timeout(self.timeout, exchange).await.ok()) {
                Ok(reply) => return self.outcome(&reply, &asked.row.example),
                Err(Refused::Never(reason)) => return Ok(Outcome::Unanswered { reason }),
                Err(Refused::All(reason)) => return Err(reason),
                Err(Refused::Later(wait)) => wait,
                Err(Refused::Perhaps(wait, reason)) => {
                    attempts += 1;
                    if attempts == ATTEMPTS {
                        return Err(format!("{reason}; asked {ATTEMPTS} times"));
                    }
                    wait
                }
            };
            sleep(wait).await;
        }
    }

    fn outcome(&self, reply: &Reply, example: &Example) -> Result<Outcome, String> {
        let said: Said = serde_json::from_slice(&reply.body)
            .map_err(|error| format!("the server's answer is none of /v1/reason: {error}"))?;
        // The answer of a dialogue is what its last action says.
        if said.trajectory.is_empty() && self.rule.extract(&said.text) != said.answer {
            let rule = json!(self.rule);
            return Err(format!(
                "the server takes `{}` for the answer in `{}`, and {rule} does not: name its rule with --answer-rule",
                said.answer, said.text
            ));
        }
        let is_right = |said: &str| self.rule.is_right(said, &example.answer, &example.also);
        let count = said.choices.len();
        let correct = said.choices.iter().filter(|choice| is_right(&choice.answer)).count();
        let agreeing = said.vote.map_or(0, |vote| vote.count);
        Ok(Outcome::Answered {
            correct: is_right(&said.answer),
            answer: said.answer,
            tokens: said.usage.completion_tokens,
            thoughts: said.usage.latent_steps,
            tool_calls: said.trajectory.iter().filter(|turn| turn.observation.is_some()).count(),
            positions: said.usage.positions(),
            seconds: said.timings.total_ms / 1e3,
            samples: (count > 1).then_some(Sampled { count, correct, agreeing }),
            warnings: said.warnings.into_iter().map(|warning| warning.message).collect(),
        })
    }
}

/// The same question as one in this process.
fn body(asked: &Asked<'_>, calls_tools: bool) -> Value {
    let (question, facts) = asked.parts(asked.told(calls_tools));
    let (settings, sampling) = (asked.settings, asked.settings.sampling);
    let mut body = json!({
        "question": question,
        "latent_steps": asked.latent_steps,
        "temperature": sampling.temperature,
        "seed": asked.seed(),
        "n": sampling.count,
    });
    if let Some(facts) = facts.filter(|_| calls_tools) {
        body["facts"] = json!(facts);
    }
    if let Some(max_tokens) = settings.max_tokens {
        body["max_tokens"] = json!(max_tokens);
    }
    if settings.feedback != Feedback::Hidden {
        body["feedback"] = json!(feedback_name(settings.feedback));
    }
    if let Some(sigma) = sampling.latent_noise {
        body["latent_noise"] = json!({ "sigma": sigma });
    }
    body
}

/// The reply, where it is an answer; `None` where it took too long.
fn refused(exchanged: Option<Result<Reply, Failed>>) -> Result<Reply, Refused> {
    let reply = match exchanged {
        None => {
            let reason = "no answer in time: allow more with --timeout".to_owned();
            return Err(Refused::Perhaps(Duration::ZERO, reason));
        }
        Some(Err(failed)) => {
            return Err(Refused::Perhaps(DEFAULT_RETRY, failed.to_string()));
        }
        Some(Ok(reply)) => reply,
    };
    let wait = reply.retry_after.unwrap_or(DEFAULT_RETRY);
    let ErrorDetail { message, param, code } =
        serde_json::from_slice::<ErrorBody>(&reply.body).unwrap_or_default().error;
    let told = format!("the server answered {}: {message}", reply.status);
    Err(match reply.status {
        200 => return Ok(reply),
        429 => Refused::Later(wait),
        401 | 403 => Refused::All(format!("{told}; name a key with --api-key or COCONUT_API_KEY")),
        413 => Refused::Never(message),
        422 if matches!(param.as_deref(), Some("question" | "max_tokens")) => {
            let bare = message.strip_prefix("question: ").map(str::to_owned);
            Refused::Never(bare.unwrap_or(message))
        }
        500 if code == "non_finite" => Refused::Never(message),
        502..=504 => Refused::Perhaps(wait, told),
        _ => Refused::All(told),
    })
}

async fn facts(client: &Client, limit: Duration) -> Result<Facts, String> {
    const IS_IT: &str = "is a coconut server running there?";
    let from = client.at("/v1/models");
    let exchange = async { Reply::read(client.get(&from).await?).await };
    let reply = timeout(limit, exchange).await.map_err(|_elapsed| format!("no answer; {IS_IT}"))?;
    let reply = reply.map_err(|failed| format!("{failed}; {IS_IT}"))?;
    match reply.status {
        200 => {}
        401 | 403 => return Err("it asks for a key: --api-key or COCONUT_API_KEY".to_owned()),
        503 => {
            return Err("it is not ready yet: try again when /health/ready answers 200".to_owned());
        }
        status => return Err(format!("/v1/models answered {status}; {IS_IT}")),
    }
    let models: Models = serde_json::from_slice(&reply.body)
        .map_err(|error| format!("/v1/models lists no model of ours ({error}); {IS_IT}"))?;
    let model = models.data.into_iter().next().ok_or("it serves no model")?;
    Ok(Facts {
        model: model.id,
        fingerprint: model.coconut.fingerprint,
        family: model.coconut.family,
        default_latent_steps: model.coconut.default_latent_steps,
        max_latent_steps: model.coconut.max_latent_steps,
        calls_tools: model.coconut.calls_tools,
    })
}

/// What part of a text is the answer, in most models of a family. Each answer shows whether it is.
fn usual_rule(family: &str) -> AnswerRule {
    match family {
        "codi" => AnswerRule::LastNumber,
        "superposition" => AnswerRule::Whole,
        _ => AnswerRule::AfterHash,
    }
}
