//! Times and sizes as operators write them. Does not know what they are for.

use anyhow::Context as _;
use anyhow::bail;
use anyhow::ensure;
use std::time::Duration;

/// Seconds, with fractions: `0.5`.
pub fn parse_seconds(text: &str) -> anyhow::Result<Duration> {
    const YEAR: f64 = 365.0 * 24.0 * 3600.0;
    let seconds: f64 = text.parse().context("not a number of seconds")?;
    ensure!((0.0..=YEAR).contains(&seconds), "must be from 0 to a year");
    Ok(Duration::from_secs_f64(seconds))
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
