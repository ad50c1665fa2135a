//! Angles of the rotary position embedding, computed once per model. Knows frequencies, no weights.

use crate::model::config::Config;
use crate::model::config::Llama3Scaling;
use crate::model::config::Rope;
use crate::model::config::RopeScaling;
use candle_core::Device;
use candle_core::Result;
use candle_core::Tensor;
use coconut_kernels::rotate::Angles;
use coconut_kernels::team::Team;
use std::f64::consts::TAU;

/// Positions whose angles one thread computes at a time.
const POSITIONS: usize = 1024;

/// Cosines and sines of every position.
#[derive(Debug)]
pub(crate) struct Rotation {
    /// (T, E/2)
    cos: Tensor,
    /// (T, E/2)
    sin: Tensor,
}

impl Rotation {
    pub(crate) fn new(config: &Config, device: &Device) -> Result<Self> {
        let Angles { cos, sin } = angles(config);
        let shape = (config.max_positions, config.head_size / 2);
        Ok(Self {
            cos: Tensor::from_vec(cos, shape, device)?,
            sin: Tensor::from_vec(sin, shape, device)?,
        })
    }

    /// positions (R,) -> cos and sin (R, E/2)
    pub(crate) fn at(&self, positions: &Tensor) -> Result<(Tensor, Tensor)> {
        Ok((self.cos.index_select(positions, 0)?, self.sin.index_select(positions, 0)?))
    }
}

/// Cosines and sines of every position.
pub(crate) fn angles(config: &Config) -> Angles {
    let plain = Rope { theta: 10_000.0, scaling: RopeScaling::Plain };
    let frequencies = frequencies(config.rope.as_ref().unwrap_or(&plain), config.head_size);
    let half = frequencies.len();
    let [mut cos, mut sin] =
        [vec![0.0; config.max_positions * half], vec![0.0; config.max_positions * half]];
    let pieces = cos.chunks_mut(POSITIONS * half).zip(sin.chunks_mut(POSITIONS * half));
    // With contexts of 131,072 positions this is a tenth of the time that loading takes.
    Team::shared().share(
        config.max_positions > POSITIONS,
        pieces.enumerate(),
        |(piece, (cos, sin))| {
            let rows = cos.chunks_exact_mut(half).zip(sin.chunks_exact_mut(half));
            for (position, (cos, sin)) in (piece * POSITIONS..).zip(rows) {
                for ((cos, sin), &frequency) in cos.iter_mut().zip(sin).zip(&frequencies) {
                    // Hugging Face keeps the frequencies in f32 and multiplies there; the angles must round the same way.
                    (*sin, *cos) = (position as f32 * frequency).sin_cos();
                }
            }
        },
    );
    Angles { cos, sin }
}

/// The E/2 angular frequencies: theta^(-2i/E), then stretched.
fn frequencies(rope: &Rope, head_size: usize) -> Vec<f32> {
    (0..head_size / 2)
        .map(|i| rope.theta.powf(-((2 * i) as f64) / head_size as f64))
        .map(|frequency| match &rope.scaling {
            RopeScaling::Plain => frequency,
            RopeScaling::Linear { factor } => frequency / factor,
            RopeScaling::Llama3(scaling) => llama3(frequency, scaling),
        })
        .map(|frequency| frequency as f32)
        .collect()
}

/// Llama 3's scaling (Hugging Face transformers, `modeling_rope_utils.py`, `_compute_llama3_parameters`).
fn llama3(frequency: f64, scaling: &Llama3Scaling) -> f64 {
    let Llama3Scaling { factor, low_freq_factor: low, high_freq_factor: high, .. } = scaling;
    let turns = scaling.original_max_position_embeddings * frequency / TAU;
    if turns > *high {
        return frequency;
    }
    if turns < *low {
        return frequency / factor;
    }
    let smooth = (turns - low) / (high - low);
    (1.0 - smooth) * frequency / factor + smooth * frequency
}
