//! Counts as flags: each with its bounds, refused by the flag's name. Knows no flag.

use crate::engine::config::MAX_SETTING;
use clap::builder::RangedU64ValueParser;
use std::ops::RangeInclusive;

/// A count, refused by the flag's name and with its bounds where it is not between them.
pub(crate) fn count(bounds: RangeInclusive<usize>) -> RangedU64ValueParser<usize> {
    let (fewest, most) = (*bounds.start() as u64, *bounds.end() as u64);
    RangedU64ValueParser::new().range(fewest..=most)
}

/// A count among the engine's settings.
pub(crate) fn setting() -> RangedU64ValueParser<usize> {
    count(1..=MAX_SETTING)
}
