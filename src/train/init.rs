//! Random weights as Hugging Face transformers draws them: normal with `initializer_range`, biases 0, norms 1; GPT-2's
//! projections into the residual stream smaller by sqrt(2 layers). Every tensor draws from its own stream, so that it
//! does not depend on the others. Knows names, no architecture.

use crate::model::error::Result;
use crate::model::parameters::Parameters;
use crate::model::parameters::Stored;
use crate::train::variables::Role;
use candle_core::Device;
use candle_core::Tensor;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use rand_distr::Distribution as _;
use rand_distr::Normal;
use sha2::Digest as _;
use sha2::Sha256;

/// A source of random parameters.
#[derive(Clone, Copy, Debug)]
pub struct RandomWeights {
    /// The same seed gives the same weights.
    pub seed: u64,
    /// Standard deviation of embeddings and matrices.
    pub range: f64,
    /// Number of blocks.
    pub layers: usize,
}

impl RandomWeights {
    /// Standard deviation of a matrix.
    fn deviation(self, name: &str) -> f64 {
        match name.ends_with("c_proj.weight") {
            true => self.range / (2.0 * self.layers as f64).sqrt(),
            false => self.range,
        }
    }

    /// `count` numbers, normally distributed.
    pub(crate) fn draw(self, name: &str, count: usize) -> Vec<f32> {
        let normal = Normal::new(0.0, self.deviation(name)).expect("a deviation is not negative");
        let mut random = stream(self.seed, name);
        (0..count).map(|_| normal.sample(&mut random) as f32).collect()
    }
}

impl Parameters for RandomWeights {
    fn take(&mut self, name: &str, shape: &[usize], stored: Stored) -> Result<Tensor> {
        let count = shape.iter().product();
        let data = match Role::of(name, shape.len()) {
            Role::Bias => vec![0.0; count],
            Role::Scale => vec![1.0; count],
            Role::Embedding | Role::Matrix => self.draw(name, count),
        };
        // Drawn in the order on disk, so that it does not matter how the model keeps it.
        match (stored, shape) {
            (Stored::Transposed, [inputs, outputs]) => {
                let tensor = Tensor::from_vec(data, (*outputs, *inputs), &Device::Cpu)?;
                Ok(tensor.t()?.contiguous()?)
            }
            _ => Ok(Tensor::from_vec(data, shape, &Device::Cpu)?),
        }
    }
}

/// Random numbers for one purpose: they depend on nothing but the seed and the name of the purpose.
pub fn stream(seed: u64, purpose: &str) -> ChaCha8Rng {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_le_bytes());
    hasher.update(purpose.as_bytes());
    ChaCha8Rng::from_seed(hasher.finalize().into())
}
