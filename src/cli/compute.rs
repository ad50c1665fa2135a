//! Flags of how a model is computed: where, types and threads.

use crate::cli::counts::count;
use crate::model::device::Processor;
use crate::reason::reasoner::Precision;
use clap::Args;
use clap::ValueEnum;
use clap::builder::RangedU64ValueParser;
use coconut_kernels::attend::layer::KvType;
use coconut_kernels::packed::Format;
use coconut_kernels::team::MAX_THREADS;
use coconut_kernels::team::Team;
use std::num::NonZeroUsize;

/// Flags of how a model is computed.
#[derive(Debug, Args)]
pub(crate) struct ComputeArgs {
    /// What computes: cpu, or an NVIDIA GPU as cuda or cuda:N. A GPU needs a binary that was built for it.
    #[arg(long, env = "COCONUT_DEVICE", value_name = "DEVICE", default_value = "cpu")]
    pub(crate) device: Processor,
    /// Type of the weights. It is the precision of products, too; sums are f32. bf16 and int8 take half and a quarter of the
    /// memory, and of the time. [default: bf16 if the checkpoint is stored so, else f32]
    #[arg(long, env = "COCONUT_DTYPE", value_enum, value_name = "TYPE")]
    dtype: Option<Dtype>,
    /// Type of keys and values in memory. [default: f32 with weights in f32, else bf16]
    #[arg(hide_short_help = true, long, env = "COCONUT_KV_DTYPE", value_enum, value_name = "TYPE")]
    kv_dtype: Option<KvDtype>,
    /// Threads that compute on the CPU. [default: one for each processor]
    #[arg(long, env = "COCONUT_THREADS", value_name = "N", value_parser = threads())]
    threads: Option<usize>,
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

/// A number of threads.
pub(crate) fn threads() -> RangedU64ValueParser<usize> {
    count(1..=MAX_THREADS)
}

impl ComputeArgs {
    /// The types that are asked for.
    pub(crate) fn precision(&self) -> Precision {
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
    pub(crate) fn start_threads(&self) {
        if let Some(threads) = self.threads.and_then(NonZeroUsize::new) {
            Team::start(threads);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ComputeArgs;
    use crate::model::device::Processor;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Flags {
        #[command(flatten)]
        compute: ComputeArgs,
    }

    #[test]
    fn a_device_that_cannot_be_used_is_refused_by_name() {
        let flags = |words: &[&str]| Flags::try_parse_from(["x"].iter().chain(words));
        assert_eq!(flags(&[]).unwrap().compute.device, Processor::Cpu);
        let refused = |name: &str| flags(&["--device", name]).unwrap_err().to_string();
        assert!(refused("tpu").contains("--device") && refused("tpu").contains("cuda:N"));
        if !cfg!(feature = "cuda") {
            let said = refused("cuda");
            assert!(said.contains("--device") && said.contains("built without CUDA"), "{said}");
        }
    }
}
