//! `coconut inspect`: its flags; what is said of a checkpoint is `latent`'s.

use crate::cli::flags::HubArgs;
use crate::cli::flags::ModelArgs;
use crate::cli::flags::located;
use crate::latent::checkpoint::Checkpoint;
use crate::latent::inspect::Inspection;
use anyhow::Context as _;
use clap::Args;
use std::io::Write as _;

/// Flags of `coconut inspect`.
#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    #[command(flatten, next_help_heading = "Model")]
    model: ModelArgs,
    #[command(flatten, next_help_heading = "Hub")]
    hub: HubArgs,
}

impl InspectArgs {
    /// Prints what the checkpoint is.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (location, _built_in) = located(self.model, &self.hub)?;
        let checkpoint = Checkpoint::open(&location).context("cannot inspect")?;
        writeln!(std::io::stdout(), "{}", Inspection(&checkpoint))?;
        Ok(())
    }
}
