//! A model that computes nothing until a test lets it, so that what happens before an answer is no race.

use crate::engine::peek::Wish;
use crate::engine::plan::Plan;
use crate::engine::runner::ModelRunner;
use crate::engine::runner::Run;
use crate::engine::runner::StepOutput;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// The usual runner behind a gate, which opens when its other end is dropped.
pub(crate) struct Gated {
    pub(crate) runner: ModelRunner,
    pub(crate) gate: Receiver<()>,
}

impl Run for Gated {
    fn run(
        &mut self,
        plan: &Plan,
        wishes: &[Wish],
        output: &mut StepOutput,
    ) -> candle_core::Result<()> {
        let _ = self.gate.recv_timeout(Duration::from_secs(60));
        self.runner.run(plan, wishes, output)
    }

    fn reset(&mut self) {
        self.runner.reset();
    }
}
