//! What a person sees of a run on standard error: a bar on a terminal, plain lines elsewhere. Knows text and times.

use crate::train::journal::Event;
use indicatif::ProgressBar;
use indicatif::ProgressDrawTarget;
use indicatif::ProgressStyle;
use std::io::IsTerminal as _;
use std::io::Write as _;
use std::time::Duration;

/// How far a run is, for people.
#[derive(Debug)]
pub struct Progress {
    /// `None` where standard error is no terminal.
    bar: Option<ProgressBar>,
    steps: usize,
}

impl Progress {
    /// A run of so many updates, of which some may be done.
    pub fn start(done: usize, steps: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar =
                ProgressBar::with_draw_target(Some(steps as u64), ProgressDrawTarget::stderr());
            let template = "{bar:30} {pos}/{len} {msg} · {eta} left";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.with_position(done as u64)
        });
        Self { bar, steps }
    }

    /// One update is done.
    pub fn advance(&self, total_step: usize) {
        if let Some(bar) = &self.bar {
            bar.set_position(total_step as u64);
        }
    }

    /// Shows an event. `left`: time until the end at this speed.
    pub fn show(&self, event: &Event, left: Duration) {
        let text = describe(event);
        match (&self.bar, event) {
            (Some(bar), Event::Train { .. }) => bar.set_message(text),
            (Some(bar), Event::Validate { .. }) => bar.println(text),
            (None, _) => {
                let (step, steps, left) = (event.step(), self.steps, clock(left));
                self.line(&format!("step {step}/{steps} · {text} · {left} left"));
            }
        }
    }

    /// Says something.
    pub fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => self.line(text),
        }
    }

    /// The end of the run.
    pub fn finish(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.line(text);
    }

    #[expect(clippy::unused_self, reason = "where lines go is this type's business")]
    fn line(&self, text: &str) {
        // If even standard error is closed, training goes on.
        let _ = writeln!(std::io::stderr(), "{text}");
    }
}

fn describe(event: &Event) -> String {
    match event {
        Event::Train { phase, stage, loss, thought_losses, examples_per_second, .. } => {
            let thoughts: String =
                thought_losses.iter().map(|loss| format!(" {loss:.2}")).collect();
            let made_of =
                if thoughts.is_empty() { thoughts } else { format!(" (thoughts{thoughts})") };
            format!(
                "{phase} · stage {stage} · loss {loss:.4}{made_of} · {examples_per_second:.1} examples/s"
            )
        }
        Event::Validate { phase, stage, latent_steps, right, questions, .. } => {
            let share = 100.0 * *right as f64 / (*questions).max(1) as f64;
            format!(
                "{phase} · stage {stage} · {right} of {questions} right ({share:.1} %) with {latent_steps} thoughts"
            )
        }
    }
}

/// 1:02:03
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
