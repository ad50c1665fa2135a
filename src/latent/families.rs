//! The published families as recipes: what is asked, what is forced, when an answer ends, what part of it counts. One
//! function a family. Knows ids that it is given; how they are found is `detect`'s business.

use crate::latent::answer::AnswerRule;
use crate::latent::recipe::LatentSteps;
use crate::latent::recipe::QuestionRule;
use crate::latent::recipe::Recipe;

/// The largest number of latent steps where a family does not say.
const MAX_LATENT_STEPS: usize = 32;

/// The ids before and after the thoughts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Markers {
    /// Before; its hidden state is the first thought.
    pub start: u32,
    /// After, fed whatever the model would have said.
    pub end: u32,
}

/// Coconut (Meta's code): question and newline, start, 6 thoughts, end; the answer follows `###`.
pub fn coconut(markers: Markers, eos: Vec<u32>) -> Recipe {
    Recipe {
        start: vec![markers.start],
        end: vec![markers.end],
        latent_steps: LatentSteps { default: 6, max: MAX_LATENT_STEPS },
        ..language_model("coconut", eos)
    }
}

/// SIM-CoT on Coconut: the same with 10 thoughts (the published evaluation file's 2 is a mistake).
pub fn sim_cot(markers: Markers, eos: Vec<u32>) -> Recipe {
    Recipe {
        family: "sim-cot-coconut".to_owned(),
        latent_steps: LatentSteps { default: 10, max: MAX_LATENT_STEPS },
        ..coconut(markers, eos)
    }
}

/// CODI: the bare question, bot, 6 thoughts through the projector, eot, which alone is never chosen. Answers read
/// `The answer is: 18`.
pub fn codi(markers: Markers, eos: Vec<u32>) -> Recipe {
    Recipe {
        family: "codi".to_owned(),
        prompt: "{question}".to_owned(),
        question: QuestionRule::Tidied,
        masked: vec![markers.end],
        answer: AnswerRule::LastNumber,
        max_tokens: Some(256),
        ..coconut(markers, eos)
    }
}

/// Reasoning by superposition: a graph, thoughts without markers, the forced `[A]`, one node. The number of thoughts
/// belongs to the question (3 or 4 in the published data).
pub fn superposition(answer: u32, eos: u32) -> Recipe {
    Recipe {
        prompt: "<eos> {question}".to_owned(),
        end: vec![answer],
        latent_steps: LatentSteps { default: 4, max: MAX_LATENT_STEPS },
        answer: AnswerRule::Whole,
        max_tokens: Some(1),
        ..language_model("superposition", vec![eos])
    }
}

/// A language model trained on the same questions, with its chain of thought in words (CoT) or none (No-CoT).
pub fn language_model(family: &str, eos: Vec<u32>) -> Recipe {
    Recipe {
        family: family.to_owned(),
        prompt: "{question}\n".to_owned(),
        add_special_tokens: true,
        start: Vec::new(),
        end: Vec::new(),
        latent_steps: LatentSteps { default: 0, max: 0 },
        eos,
        eos_count: 1,
        masked: Vec::new(),
        answer: AnswerRule::AfterHash,
        question: QuestionRule::AsIs,
        chat: None,
        tools: None,
        max_tokens: None,
        pause: None,
        lora_alpha: None,
    }
}

/// Chain of thought in words takes longer than an answer.
pub fn chain_of_thought(eos: Vec<u32>) -> Recipe {
    Recipe { max_tokens: Some(256), ..language_model("cot", eos) }
}

/// iCoT (stepwise internalisation): the first end of sequence closes the empty chain of thought, the second the answer.
pub fn internalized(eos: Vec<u32>, eos_text: &str) -> Recipe {
    Recipe {
        prompt: format!(" {{question}} {eos_text}"),
        eos_count: 2,
        max_tokens: Some(256),
        ..language_model("icot", eos)
    }
}
