//! Counts that a run's settings may have. Knows no field.

/// The most of anything that is held in memory at once.
const MAX_AT_ONCE: usize = 1 << 16;

/// Refuses a count of what is held in memory at once.
pub(crate) fn at_once((field, count): (&'static str, usize)) -> Result<(), (&'static str, String)> {
    match (1..=MAX_AT_ONCE).contains(&count) {
        true => Ok(()),
        false => Err((field, format!("is {count}; 1 to {MAX_AT_ONCE} is possible"))),
    }
}

/// Refuses a count of what would not be done at all.
pub(crate) fn not_zero(
    (field, count): (&'static str, usize),
) -> Result<(), (&'static str, String)> {
    if count == 0 { Err((field, "is 0".to_owned())) } else { Ok(()) }
}
