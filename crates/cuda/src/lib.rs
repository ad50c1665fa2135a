//! Operations of training on NVIDIA GPUs: what candle does by chains of small kernels, each in one, with its gradient.
//! Slices on the GPU in, new slices out, f32. Knows sizes, no tensor's history and no model.
//!
//! The kernels are CUDA C++ (`kernels.cu`), compiled by NVRTC when the first one is called, for whatever GPU is there.
//! None of them adds by atomics: the same numbers give the same result, to the bit.

pub mod attend;
mod launch;
mod open;
pub mod rows;

pub use launch::Floats;
pub use open::open;
