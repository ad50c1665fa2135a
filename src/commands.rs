//! The commands that work on a checkpoint's files and serve nothing: `convert` and `inspect`. Flags and what they print.

use crate::convert::Conversion;
use crate::convert::convert;
use crate::flags::HubArgs;
use crate::flags::ModelArgs;
use crate::inspect::Inspection;
use crate::latent::checkpoint::Checkpoint;
use crate::latent::checkpoint::Location;
use crate::model::load::save::SavedType;
use crate::telemetry;
use crate::telemetry::LogFormat;
use anyhow::Context as _;
use clap::Args;
use clap::ValueEnum;
use std::io::Write as _;
use std::path::PathBuf;

/// Flags of `coconut convert`.
#[derive(Debug, Args)]
pub struct ConvertArgs {
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

/// Flags of `coconut inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    #[command(flatten, next_help_heading = "Model")]
    model: ModelArgs,
    #[command(flatten, next_help_heading = "Hub")]
    hub: HubArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DtypeArg {
    F32,
    Bf16,
    F16,
}

impl ConvertArgs {
    /// Converts, and prints what came of it.
    pub fn run(self) -> anyhow::Result<()> {
        let dtype = self.dtype.map(|dtype| match dtype {
            DtypeArg::F32 => SavedType::F32,
            DtypeArg::Bf16 => SavedType::BF16,
            DtypeArg::F16 => SavedType::F16,
        });
        let from = located(self.model, &self.hub)?;
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

impl InspectArgs {
    /// Prints what the checkpoint is.
    pub fn run(self) -> anyhow::Result<()> {
        let location = located(self.model, &self.hub)?;
        let checkpoint = Checkpoint::open(&location).context("cannot inspect")?;
        writeln!(std::io::stdout(), "{}", Inspection(&checkpoint))?;
        Ok(())
    }
}

/// The checkpoint's files; what is downloaded is told on standard error.
fn located(model: ModelArgs, hub: &HubArgs) -> anyhow::Result<Location> {
    telemetry::init(LogFormat::Text, "info")?;
    model.sought(hub)?.locate().context("cannot find the model")
}
