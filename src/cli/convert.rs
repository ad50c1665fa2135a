//! `coconut convert`: its flags and what it prints.

use crate::cli::flags::HubArgs;
use crate::cli::flags::ModelArgs;
use crate::cli::flags::located;
use crate::latent::convert::Conversion;
use crate::latent::convert::convert;
use crate::model::load::save::SavedType;
use anyhow::Context as _;
use clap::Args;
use clap::ValueEnum;
use std::io::Write as _;
use std::path::PathBuf;

/// Flags of `coconut convert`.
#[derive(Debug, Args)]
pub(super) struct ConvertArgs {
    #[command(flatten, next_help_heading = "Model")]
    model: ModelArgs,
    #[command(flatten, next_help_heading = "Hub")]
    hub: HubArgs,
    /// Folder to write: config.json, model.safetensors, tokenizer.json and coconut.json.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Type of the weights. [default: that of the checkpoint; f32 where LoRA is merged]
    #[arg(long, value_enum)]
    dtype: Option<DtypeArg>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DtypeArg {
    F32,
    Bf16,
    F16,
}

impl ConvertArgs {
    /// Converts, and prints what came of it.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let dtype = self.dtype.map(|dtype| match dtype {
            DtypeArg::F32 => SavedType::F32,
            DtypeArg::Bf16 => SavedType::BF16,
            DtypeArg::F16 => SavedType::F16,
        });
        let (from, _built_in) = located(self.model, &self.hub)?;
        let conversion = Conversion { from, to: self.out, dtype };
        let converted = convert(&conversion).context("cannot convert")?;
        let weights = conversion.to.join("model.safetensors");
        let mut out = std::io::stdout();
        writeln!(out, "{}", converted.description)?;
        writeln!(out, "{} bytes of {}", converted.bytes, converted.dtype)?;
        writeln!(out, "{}  {}", converted.sha256, weights.display())?;
        Ok(())
    }
}
