//! A question to a checkpoint in this process, and what came of it. Knows no file and no other server.

use crate::data::example::Example;
use crate::engine::request::Failure;
use crate::engine::request::Rejected;
use crate::eval::report::Outcome;
use crate::eval::report::Sampled;
use crate::eval::settings::Asked;
use crate::eval::settings::Samples;
use crate::latent::script::Sampling;
use crate::reason::question::AskError;
use crate::reason::question::LatentSteps;
use crate::reason::question::Question;
use crate::reason::question::Saying;
use crate::reason::question::Then;
use crate::reason::question::Thinking;
use crate::reason::reasoner::Reasoner;
use crate::reason::reply::Unanswered;
use crate::reason::types::Answer;
use std::time::Duration;

/// No answer takes so long; the engine's failures are told by itself.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// What came of a question; an error where nothing will come of any other.
pub(super) async fn ask(reasoner: &Reasoner, asked: &Asked<'_>) -> Result<Outcome, String> {
    match reasoner.answer(&question(asked)).await {
        Ok(answer) => Ok(outcome(reasoner, &answer, &asked.row.example)),
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

fn question(asked: &Asked<'_>) -> Question {
    let settings = asked.settings;
    let Samples { count: samples, latent_noise: noise, temperature, .. } = settings.sampling;
    let seed = asked.seed();
    let sampling = Sampling { temperature, seed, ..Sampling::GREEDY };
    let steps = LatentSteps::Exactly(asked.latent_steps);
    let (feedback, max_tokens) = (settings.feedback, settings.max_tokens);
    Question {
        thinking: Thinking { steps, feedback, noise, seed, ..Thinking::default() },
        then: Then::Say(Saying { max_tokens, samples, sampling, ..Saying::default() }),
        ..Question::new(&asked.row.example.question, PATIENCE)
    }
}

fn outcome(reasoner: &Reasoner, answer: &Answer, example: &Example) -> Outcome {
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
        seconds: answer.timings.total.as_secs_f64(),
        samples: (count > 1).then(|| Sampled {
            count,
            correct,
            agreeing: vote.map_or(0, |vote| vote.agreeing),
        }),
        warnings: answer.warnings.iter().map(ToString::to_string).collect(),
    }
}
