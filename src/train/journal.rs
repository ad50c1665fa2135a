//! What happened in a run, as JSON lines and as a picture. A resumed run takes back what was noted after the state it
//! goes on from, so that the journal is that of an unbroken run. Knows numbers, no model.

use crate::files;
use crate::train::error::Error;
use crate::train::error::Result;
use serde::Deserialize;
use serde::Serialize;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;

/// Name of the journal in a run's folder.
pub const METRICS: &str = "metrics.jsonl";

/// One line.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// Some updates.
    Train {
        /// Updates done in all phases.
        step: usize,
        /// Name of the phase.
        phase: String,
        /// Stage of its curriculum.
        stage: usize,
        /// Mean loss since the last line.
        loss: f64,
        /// Mean over the answers' tokens, without weights.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_loss: Option<f64>,
        /// Mean divergence of what is said after 0, 1, ... thoughts, where a phase expects sets of nodes.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        thought_losses: Vec<f64>,
        /// Mean norm of the gradients, before clipping.
        gradient_norm: f64,
        /// Learning rate.
        lr: f64,
        /// Sequences trained on in a second.
        examples_per_second: f64,
        /// Time spent training, in seconds.
        seconds: f64,
    },
    /// Questions answered by generation.
    Validate {
        /// Updates done in all phases.
        step: usize,
        /// Name of the phase.
        phase: String,
        /// Stage of its curriculum.
        stage: usize,
        /// Thoughts of each question.
        latent_steps: usize,
        /// Answers that are exactly right.
        right: usize,
        /// Questions asked.
        questions: usize,
        /// Mean number of tokens generated, end of sequence left out.
        answer_tokens: f64,
        /// Time spent training, in seconds.
        seconds: f64,
    },
}

impl Event {
    /// Updates done in all phases.
    pub fn step(&self) -> usize {
        match self {
            Self::Train { step, .. } | Self::Validate { step, .. } => *step,
        }
    }
}

/// The journal of a run.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    events: Vec<Event>,
}

impl Journal {
    /// Opens the journal of a run that is at `step`; what was noted later is taken back, and so is a validation at `step`
    /// unless the last one, at `validated`, was that.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn open(folder: &Path, step: usize, validated: Option<usize>) -> Result<Self> {
        let path = folder.join(METRICS);
        let text = match files::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Error::io(&path)(error)),
        };
        // The last line may be half written.
        let events = text.lines().map_while(|line| serde_json::from_str::<Event>(line).ok());
        let known = |event: &Event| match event {
            Event::Train { .. } => event.step() <= step,
            Event::Validate { .. } => event.step() < step || validated == Some(event.step()),
        };
        let events: Vec<Event> = events.take_while(known).collect();
        let file = File::create(&path).map_err(Error::io(&path))?;
        let mut this = Self { path, file, events: Vec::new() };
        for event in events {
            this.note(event)?;
        }
        Ok(this)
    }

    /// Appends a line. The event counts even where it cannot be written.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn note(&mut self, event: Event) -> Result<()> {
        let line = serde_json::to_string(&event);
        self.events.push(event);
        let line = line.map_err(|error| Error::state(&self.path, &error))?;
        writeln!(self.file, "{line}").map_err(Error::io(&self.path))
    }

    /// All lines so far.
    pub fn events(&self) -> &[Event] {
        &self.events
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn event(step: usize) -> Event {
        Event::Validate {
            step,
            phase: "p".to_owned(),
            stage: 0,
            latent_steps: 1,
            right: 1,
            questions: 2,
            answer_tokens: 3.0,
            seconds: 0.5,
        }
    }

    #[test]
    fn what_came_after_the_state_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path(), 0, None).unwrap();
        for step in [10, 20, 30] {
            journal.note(event(step)).unwrap();
        }
        let path = folder.path().join(METRICS);
        let text = fs::read_to_string(&path).unwrap() + "{\"event\":\"tra";
        fs::write(&path, text).unwrap();
        let journal = Journal::open(folder.path(), 20, Some(20)).unwrap();
        assert_eq!(journal.events(), [event(10), event(20)]);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
        // The state was saved before the validation of its step.
        let journal = Journal::open(folder.path(), 20, Some(10)).unwrap();
        assert_eq!(journal.events(), [event(10)]);
    }
}
