//! A question to a checkpoint in this process, and what came of it. Knows no file and no other server.

use crate::data::example::Example;
use crate::engine::request::Failure;
use crate::engine::request::Rejected;
use crate::eval::report::Outcome;
use crate::eval::report::Sampled;
use crate::eval::settings::Asked;
use crate::eval::settings::FactsFor;
use crate::eval::settings::Samples;
use crate::latent::script::Sampling;
use crate::prompting::render::Prompt;
use crate::reason::local::answer;
use crate::reason::question as reason;
use crate::reason::question::Acting;
use crate::reason::question::AskError;
use crate::reason::question::LatentSteps;
use crate::reason::question::Question;
use crate::reason::question::Saying;
use crate::reason::question::Then;
use crate::reason::question::Thinking;
use crate::reason::reasoner::Reasoner;
use crate::reason::reply::Unanswered;
use crate::reason::types::Answer;
use std::sync::Arc;
use std::time::Duration;

/// No answer takes so long; the engine's failures are told by itself.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// Longest time for one call of a tool.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// What came of a question; an error where nothing will come of any other.
pub(super) async fn ask(reasoner: &Arc<Reasoner>, asked: &Asked<'_>) -> Result<Outcome, String> {
    match answer(reasoner, &question(reasoner, asked)).await {
        Ok(answer) => Ok(outcome(reasoner, &answer, asked)),
        Err(Unanswered::Refused(AskError::Rejected(
            error @ (Rejected::Full { .. } | Rejected::Stopping | Rejected::Dead),
        ))) => Err(error.to_string()),
        // No question would be any better off.
        Err(Unanswered::Refused(error @ AskError::Feedback(_))) => Err(error.to_string()),
        Err(Unanswered::Refused(error)) => Ok(Outcome::Unanswered { reason: error.to_string() }),
        Err(Unanswered::Failed(failure @ Failure::NonFinite)) => {
            Ok(Outcome::Unanswered { reason: failure.to_string() })
        }
        Err(Unanswered::Failed(failure)) => Err(failure.to_string()),
    }
}

fn question(reasoner: &Reasoner, asked: &Asked<'_>) -> Question {
    let settings = asked.settings;
    let prompt = settings.prompt.as_ref();
    let form = prompt.and_then(Prompt::form);
    let calls_tools = form.is_some() || (prompt.is_none() && reasoner.acts());
    let told = match prompt {
        Some(_) => FactsFor::Tools,
        None => asked.told(calls_tools),
    };
    let (question, facts) = asked.parts(told);
    let acting = calls_tools.then(|| Acting {
        tools: settings.tools.clone(),
        facts: facts.map(Arc::from),
        form: form.clone(),
        max_rounds: None,
        call_timeout: CALL_TIMEOUT,
    });
    let shown = prompt.map(|prompt| {
        let text = prompt.ask(question, facts);
        // A dialogue opens its rounds itself.
        let opening = form.map(|form| form.opening(form.opens_with(), 1)).unwrap_or_default();
        text.strip_suffix(&opening).map(str::to_owned).unwrap_or(text)
    });
    let stop = prompt.map(Prompt::stops).unwrap_or_default();
    let Samples { count: samples, latent_noise: noise, temperature, .. } = settings.sampling;
    let seed = asked.seed();
    let sampling = Sampling { temperature, seed, ..Sampling::GREEDY };
    let steps = LatentSteps::Exactly(asked.latent_steps);
    let (feedback, max_tokens) = (settings.feedback, settings.max_tokens);
    Question {
        thinking: Thinking { steps, feedback, noise, seed, ..Thinking::default() },
        then: Then::Say(Saying { max_tokens, samples, sampling, stop, ..Saying::default() }),
        acting,
        asked: shown
            .map_or_else(|| reason::Asked::Question(question.to_owned()), reason::Asked::Text),
        ..Question::new(question, PATIENCE)
    }
}

fn outcome(reasoner: &Reasoner, answer: &Answer, asked: &Asked<'_>) -> Outcome {
    let (example, prompt) = (&asked.row.example, asked.settings.prompt.as_ref());
    if let (Some(prompt), [choice]) = (prompt, &answer.choices[..])
        && prompt.form().is_none()
    {
        let mut read = answer.clone();
        let said = prompt.answer(&choice.text).unwrap_or_default();
        read.choices[0].answer = reasoner.answer_rule().extract(said);
        return counted(reasoner, &read, example);
    }
    counted(reasoner, answer, example)
}

fn counted(reasoner: &Reasoner, answer: &Answer, example: &Example) -> Outcome {
    let is_right =
        |said: &str| reasoner.answer_rule().is_right(said, &example.answer, &example.also);
    let count = answer.choices.len();
    let correct = answer.choices.iter().filter(|choice| is_right(&choice.answer)).count();
    let vote = answer.vote();
    let said = vote.map(|vote| answer.choices[vote.choice].answer.clone()).unwrap_or_default();
    Outcome::Answered {
        correct: is_right(&said),
        answer: said,
        tokens: answer.usage.completion_tokens,
        thoughts: answer.usage.latent_steps,
        tool_calls: answer.turns.iter().filter(|turn| turn.observation.is_some()).count(),
        positions: answer.usage.total_tokens(),
        seconds: answer.timings.total.as_secs_f64(),
        samples: (count > 1).then(|| Sampled {
            count,
            correct,
            agreeing: vote.map_or(0, |vote| vote.agreeing),
        }),
        warnings: answer.warnings.iter().map(ToString::to_string).collect(),
    }
}
