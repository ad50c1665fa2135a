//! The weights: methods and their curricula, the warm-ups before them, optimisers, evaluation, checkpoints. Runs the
//! same architecture files as serving. Knows no HTTP and no engine.
//!
//! ```
//! use candle_core::Device;
//! use coconut::train::run::CHECKPOINT;
//! use coconut::train::run::train;
//! use coconut::train::settings::Settings;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let config = folder.path().join("run.toml");
//! std::fs::write(&config, r#"
//!     tokenizer = "models/prosqa/tokenizer.json"
//!     optimizer = { lr = 1e-3 }
//!
//!     [model]
//!     model_type = "llama"
//!     hidden_size = 8
//!     intermediate_size = 8
//!     num_hidden_layers = 1
//!     num_attention_heads = 1
//!     max_position_embeddings = 256
//!     rms_norm_eps = 1e-5
//!     tie_word_embeddings = true
//!
//!     [[phases]]
//!     name = "one hop"
//!     objective.graphs = { learn = "children", nodes = [[8, 12]], graphs = 1, steps = 2 }
//! "#)?;
//!
//! let (settings, run) = (Settings::read(&config)?, folder.path().join("run"));
//! train(&settings, &run, false, &Device::Cpu)?;
//! assert!(run.join(CHECKPOINT).join("model.safetensors").is_file());
//! # Ok(())
//! # }
//! ```

pub mod batch;
pub mod breakdown;
pub mod checkpoint;
mod counts;
pub mod curriculum;
pub mod curve;
pub mod encoded;
pub mod error;
pub mod evaluate;
pub mod forward;
pub mod generate;
pub mod graph_work;
pub mod init;
pub mod journal;
pub mod method;
pub mod optimizer;
pub mod progress;
pub mod react;
pub mod rounds;
pub mod run;
pub mod sequence;
pub mod settings;
pub mod sources;
pub mod start;
pub mod state;
pub mod task;
pub mod told;
mod unknown;
pub mod validation;
pub mod variables;
pub mod warmup;
pub mod window;
