//! The learning rate over a phase: up during the warm-up, then constant or down. Knows steps.

use serde::Deserialize;
use serde::Serialize;

/// How the learning rate changes.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// What happens after the warm-up.
    #[serde(default)]
    pub kind: ScheduleKind,
    /// Steps over which the rate rises from 0.
    #[serde(default)]
    pub warmup_steps: usize,
    /// What is left of the rate at the end.
    #[serde(default)]
    pub floor: f64,
}

/// What happens to the learning rate after the warm-up.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleKind {
    /// Nothing.
    #[default]
    Constant,
    /// Half a cosine wave down.
    Cosine,
    /// A straight line down.
    Linear,
}

impl Schedule {
    /// Says which field cannot be used.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        match (0.0..=1.0).contains(&self.floor) {
            true => Ok(()),
            false => Err(("floor", format!("is {}, not from 0 to 1", self.floor))),
        }
    }

    /// The factor of the largest rate at `step` (from 0) of `steps`.
    pub fn factor(&self, step: usize, steps: usize) -> f64 {
        if step < self.warmup_steps {
            return (step + 1) as f64 / self.warmup_steps as f64;
        }
        let after = steps.saturating_sub(self.warmup_steps).max(1);
        let done = ((step - self.warmup_steps) as f64 / after as f64).min(1.0);
        let left = match self.kind {
            ScheduleKind::Constant => return 1.0,
            ScheduleKind::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
            ScheduleKind::Linear => 1.0 - done,
        };
        self.floor + (1.0 - self.floor) * left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_rise_then_fall_to_the_floor() {
        let schedule = |kind| Schedule { kind, warmup_steps: 10, floor: 0.1 };
        for kind in [ScheduleKind::Constant, ScheduleKind::Cosine, ScheduleKind::Linear] {
            assert_eq!(schedule(kind).factor(0, 110), 0.1);
            assert_eq!(schedule(kind).factor(9, 110), 1.0);
            assert_eq!(schedule(kind).factor(10, 110), 1.0);
        }
        assert_eq!(schedule(ScheduleKind::Constant).factor(109, 110), 1.0);
        for kind in [ScheduleKind::Cosine, ScheduleKind::Linear] {
            assert!((schedule(kind).factor(60, 110) - 0.55).abs() < 1e-9);
            assert!((schedule(kind).factor(110, 110) - 0.1).abs() < 1e-9);
        }
    }
}
