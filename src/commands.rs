//! The commands that work on a checkpoint's files and serve nothing: `convert` and `inspect`. Flags and what they print.

use crate::convert::Conversion;
use crate::convert::convert;
use crate::inspect::Inspection;
use crate::latent::checkpoint::Checkpoint;
use crate::latent::checkpoint::Location;
use crate::model::load::save::SavedType;
use anyhow::Context as _;
use clap::Args;
use clap::ValueEnum;
use std::io::Write as _;
use std::path::PathBuf;

#[derive(Debug, Args)]
struct LocationArgs {
    /// The checkpoint: its folder, or the file with its weights.
    #[arg(long, value_name = "PATH")]
    model: PathBuf,
    /// Folder with the base model's config.json and tokenizer.json, for checkpoints that lack their own.
    #[arg(long, value_name = "FOLDER")]
    base: Option<PathBuf>,
    /// A manifest (coconut.json) to use instead of what is found.
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
}

/// Flags of `coconut convert`.
#[derive(Debug, Args)]
pub struct ConvertArgs {
    #[command(flatten)]
    location: LocationArgs,
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
    #[command(flatten)]
    location: LocationArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DtypeArg {
    F32,
    Bf16,
    F16,
}

impl LocationArgs {
    fn location(self) -> Location {
        Location { model: self.model, base: self.base, recipe: self.recipe, id: None }
    }
}

impl ConvertArgs {
    /// Converts, and prints what came of it.
    pub fn run(self) -> anyhow::Result<()> {
        let dtype = self.dtype.map(|dtype| match dtype {
            DtypeArg::F32 => SavedType::F32,
            DtypeArg::Bf16 => SavedType::BF16,
            DtypeArg::F16 => SavedType::F16,
        });
        let conversion = Conversion { from: self.location.location(), to: self.out, dtype };
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
        let checkpoint = Checkpoint::open(&self.location.location()).context("cannot inspect")?;
        writeln!(std::io::stdout(), "{}", Inspection(&checkpoint))?;
        Ok(())
    }
}
