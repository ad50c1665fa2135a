//! Flags of how a model is computed: types and threads.

use crate::model::attention::paged::KvType;
use crate::model::kernels::packed::Format;
use crate::model::kernels::team::Team;
use crate::reason::reasoner::Precision;
use clap::Args;
use clap::ValueEnum;
use std::num::NonZeroUsize;

/// Flags of how a model is computed.
#[derive(Debug, Args)]
pub struct ComputeArgs {
    /// Type of the weights, and so the precision of products; sums are f32. bf16 and int8 take half and a quarter of the
    /// memory, and of the time. [default: bf16 if the checkpoint is stored so, else f32]
    #[arg(long, env = "COCONUT_DTYPE", value_enum, value_name = "TYPE")]
    dtype: Option<Dtype>,
    /// Type of keys and values in memory. [default: f32 with weights in f32, else bf16]
    #[arg(long, env = "COCONUT_KV_DTYPE", value_enum, value_name = "TYPE")]
    kv_dtype: Option<KvDtype>,
    /// Threads that compute. [default: one for each processor]
    #[arg(long, env = "COCONUT_THREADS", value_name = "N")]
    threads: Option<NonZeroUsize>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Dtype {
    F32,
    Bf16,
    Int8,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KvDtype {
    F32,
    Bf16,
}

impl ComputeArgs {
    /// The types that are asked for.
    pub fn precision(&self) -> Precision {
        let weights = self.dtype.map(|dtype| match dtype {
            Dtype::F32 => Format::F32,
            Dtype::Bf16 => Format::Bf16,
            Dtype::Int8 => Format::Int8,
        });
        let kv = self.kv_dtype.map(|dtype| match dtype {
            KvDtype::F32 => KvType::F32,
            KvDtype::Bf16 => KvType::Bf16,
        });
        Precision { weights, kv }
    }

    /// Starts as many threads as asked for; before anything is computed.
    pub fn start_threads(&self) {
        if let Some(threads) = self.threads {
            Team::start(threads);
        }
    }
}
