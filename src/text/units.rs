//! Times, sizes and counts as operators write them. Does not know what they are for.

use anyhow::Context as _;
use anyhow::bail;
use anyhow::ensure;
use std::time::Duration;

/// A year. No clock runs out if it is added to now.
pub const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 3600);

/// Seconds, with fractions: `0.5`.
pub fn parse_seconds(text: &str) -> anyhow::Result<Duration> {
    let seconds: f64 = text.parse().context("not a number of seconds")?;
    ensure!((0.0..=LONGEST_WAIT.as_secs_f64()).contains(&seconds), "must be from 0 to a year");
    Ok(Duration::from_secs_f64(seconds))
}

/// Several counts, in order, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts(pub Vec<usize>);

/// Counts: `6`, `0,3,6`, or all from one to another, `0..8`, both included.
pub fn parse_counts(text: &str) -> anyhow::Result<Counts> {
    const MOST: usize = 1000;
    let mut counts = Vec::new();
    for part in text.split(',') {
        let count = |text: &str| -> anyhow::Result<usize> {
            text.trim().parse().with_context(|| format!("`{part}` is neither a count nor FROM..TO"))
        };
        let (first, last) = part.split_once("..").unwrap_or((part, part));
        let (first, last) = (count(first)?, count(last.trim_start_matches('='))?);
        ensure!(first <= last, "`{part}` begins above its end");
        ensure!(last - first < MOST, "`{part}` are more than {MOST}");
        counts.extend(first..=last);
    }
    counts.sort_unstable();
    counts.dedup();
    Ok(Counts(counts))
}

/// A size above 0, with a binary unit or none: `512MiB`.
pub fn parse_bytes(text: &str) -> anyhow::Result<usize> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number: usize =
        digits.parse().context("not a number of bytes, such as 1048576, 64KiB, 512MiB or 4GiB")?;
    let unit: usize = match &text[digits.len()..] {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        unit => bail!("unknown unit `{unit}`: use KiB, MiB or GiB"),
    };
    let bytes = number.checked_mul(unit).context("more bytes than can be counted")?;
    ensure!(bytes > 0, "must be above 0");
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn counts_are_lists_and_ranges() {
        let counts = |text| super::parse_counts(text).map(|counts| counts.0).ok();
        assert_eq!(counts("6"), Some(vec![6]));
        assert_eq!(counts("0..3"), Some(vec![0, 1, 2, 3]));
        assert_eq!(counts("6, 0,2..3,3"), Some(vec![0, 2, 3, 6]));
        for wrong in ["", "x", "3..1", "1,,2", "-1", "0..99999999"] {
            assert_eq!(counts(wrong), None, "{wrong}");
        }
    }

    use super::*;

    #[test]
    fn times_are_seconds_that_can_be_waited() {
        assert_eq!(parse_seconds("0.5").unwrap(), Duration::from_millis(500));
        for text in ["", "-1", "1e30", "NaN", "inf", "1s"] {
            assert!(parse_seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_binary_units() {
        for (text, bytes) in [("7", 7), ("64KiB", 65_536), ("512MiB", 512 << 20), ("2GiB", 2 << 30)]
        {
            assert_eq!(parse_bytes(text).unwrap(), bytes);
        }
        for text in ["", "0", "-1", "1.5GiB", "4GB", "GiB", "99999999999GiB"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }
}
