//! Fixtures: checkpoints with golden outputs, and what the tests do with them again and again.

use candle_core::Device;
use coconut::data::example::Example;
use coconut::data::fields::Steps;
use coconut::data::fields::Wanted;
use coconut::data::questions::Questions;
use coconut::data::questions::Reading;
use coconut::latent::checkpoint::Checkpoint;
use coconut::latent::checkpoint::Location;
use coconut::latent::program::Program;
use coconut::latent::recipe::Recipe;
use coconut::model::Model;
use coconut::model::host::HostModel;
use coconut::reason::reasoner::Precision;
use coconut::text::Tokenizer;
use coconut_kernels::attend::layer::KvType;
use coconut_kernels::packed::Format;
use serde::Deserialize;
use std::path::Path;
use std::path::PathBuf;

/// Answers of the fixtures are cut after so many tokens.
pub const FIXTURE_MAX_TOKENS: usize = 12;

/// Largest allowed difference to a golden number, in f32.
pub const TOLERANCE: f32 = 1e-3;

/// Whether this is `cargo test`, in which the engine is slow: what asks hundreds of questions asks fewer then.
pub const UNOPTIMISED: bool = cfg!(debug_assertions);

/// What golden numbers are computed in, whatever a checkpoint is stored in.
pub const F32: Precision = Precision { weights: Some(Format::F32), kv: Some(KvType::F32) };

/// Golden outputs of a checkpoint.
#[derive(Debug, Deserialize)]
pub struct Expected {
    pub cases: Vec<Case>,
}

/// One request and what the reference made of it.
#[derive(Debug, Deserialize)]
pub struct Case {
    #[serde(alias = "prompt")]
    pub question: String,
    /// The whole input; some references write a latent id in the place of each thought.
    pub prompt_ids: Vec<u32>,
    pub n_latent: usize,
    pub latents: Vec<Vec<f32>>,
    pub first_logits: Vec<f32>,
    pub answer_ids: Vec<u32>,
    pub text: Option<String>,
}

/// A checkpoint with golden outputs, opened piece by piece.
pub struct Fixture {
    /// For the oracle.
    pub model: Model,
    /// For the engine, in f32.
    pub host_model: HostModel,
    pub recipe: Recipe,
    pub tokenizer: Tokenizer,
    pub expected: Expected,
}

/// The questions of a file with their steps, every row of which is one.
pub fn questions_of(path: &Path) -> Vec<Example> {
    let wanted = Wanted { steps: Steps::Read, ..Wanted::default() };
    let reading = Reading { wanted, strict: true, limit: None };
    Questions::read(path, &reading).unwrap().examples()
}

pub fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// A checkpoint that is part of the project.
pub fn models(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(name)
}

impl Fixture {
    pub fn load(name: &str) -> Self {
        Self::load_from(&data(name), name)
    }

    /// The fixture's golden numbers with the checkpoint in `folder`, which was made from it.
    pub fn load_from(folder: &Path, name: &str) -> Self {
        Self::open(&Location::folder(folder), name)
    }

    /// The same, wherever the checkpoint's parts lie.
    pub fn open(location: &Location, name: &str) -> Self {
        let checkpoint = Checkpoint::open(location).unwrap();
        let model = checkpoint.model(&Device::Cpu).unwrap();
        let host_model = checkpoint.host_model(Format::F32).unwrap();
        let text = std::fs::read_to_string(data(name).join("expected.json")).unwrap();
        let expected = serde_json::from_str(&text).unwrap();
        let Checkpoint { recipe, tokenizer, .. } = checkpoint;
        Self { model, host_model, recipe, tokenizer, expected }
    }

    pub fn program(&self, case: &Case) -> Program {
        let mut prompt = self.tokenizer.encode(&self.recipe.render(&case.question), true).unwrap();
        prompt.extend(&self.recipe.start);
        assert!(case.prompt_ids.starts_with(&prompt), "prompt of {:?}", case.question);
        assert!(case.prompt_ids.ends_with(&self.recipe.end), "end of {:?}", case.question);
        let max_tokens = self.recipe.max_tokens.unwrap_or(FIXTURE_MAX_TOKENS);
        Program {
            prompt,
            latent_steps: case.n_latent,
            forced: self.recipe.end.clone(),
            max_tokens: max_tokens.min(FIXTURE_MAX_TOKENS),
            stop: self.recipe.stop_rule(),
            masked: self.recipe.masked.clone(),
        }
    }
}

/// Largest absolute difference.
pub fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Asserts that thoughts and first logits are those of the reference, and the answer too.
pub fn assert_golden(case: &Case, thoughts: &[Vec<f32>], first_logits: &[f32], ids: &[u32]) {
    assert_eq!(thoughts.len(), case.latents.len(), "number of thoughts of {:?}", case.question);
    for (step, (ours, golden)) in thoughts.iter().zip(&case.latents).enumerate() {
        let distance = distance(ours, golden);
        assert!(
            distance < TOLERANCE,
            "thought {} of {:?} is off by {distance}",
            step + 1,
            case.question
        );
    }
    let distance = distance(first_logits, &case.first_logits);
    assert!(distance < TOLERANCE, "first logits of {:?} are off by {distance}", case.question);
    assert_eq!(ids, case.answer_ids, "answer to {:?}", case.question);
}
