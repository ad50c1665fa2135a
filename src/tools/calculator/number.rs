//! Exact numbers that cannot grow without bound, and how they are written. Knows no expression.

use num_bigint::BigInt;
use num_bigint::Sign;
use num_rational::BigRational;
use std::fmt;

/// About 1200 digits: more than any question has, and a sum of two such numbers takes less than a millisecond.
const MAX_BITS: u64 = 4096;

/// So many digits behind the point are written where the number is exact with them.
const MAX_EXACT_DECIMALS: usize = 50;

/// So many digits are written of a number that is not.
const ROUNDED_DIGITS: i64 = 12;

/// A rounded number with more zeros behind the point is written with an exponent.
const MAX_ZEROS: i64 = 20;

/// A fraction of bounded size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Number(BigRational);

impl Number {
    /// Digits, and digits behind a point. There may be none of one kind.
    pub(super) fn parse(whole: &str, decimals: &str) -> Result<Self, String> {
        let digits = format!("{whole}{decimals}");
        // A digit has more than three bits; no need to read what is too large anyway.
        if digits.len() as u64 > MAX_BITS / 3 {
            return Err(too_large());
        }
        let numerator = BigInt::parse_bytes(digits.as_bytes(), 10);
        let numerator = numerator.ok_or_else(|| format!("\"{digits}\" is no number"))?;
        let decimals = u32::try_from(decimals.len()).expect("there are few digits");
        Self(BigRational::new(numerator, BigInt::from(10).pow(decimals))).bounded()
    }

    fn bits(&self) -> u64 {
        self.0.numer().bits().max(self.0.denom().bits())
    }

    fn bounded(self) -> Result<Self, String> {
        if self.bits() > MAX_BITS { Err(too_large()) } else { Ok(self) }
    }

    pub(super) fn plus(&self, other: &Self) -> Result<Self, String> {
        Self(&self.0 + &other.0).bounded()
    }

    pub(super) fn minus(&self, other: &Self) -> Result<Self, String> {
        Self(&self.0 - &other.0).bounded()
    }

    pub(super) fn times(&self, other: &Self) -> Result<Self, String> {
        Self(&self.0 * &other.0).bounded()
    }

    pub(super) fn over(&self, other: &Self) -> Result<Self, String> {
        match other.is_zero() {
            true => Err("division by zero".to_owned()),
            false => Self(&self.0 / &other.0).bounded(),
        }
    }

    pub(super) fn negative(&self) -> Self {
        Self(-&self.0)
    }

    pub(super) fn percent(&self) -> Result<Self, String> {
        Self(&self.0 / BigInt::from(100)).bounded()
    }

    /// Whole exponents only: other powers are no fractions.
    pub(super) fn to_the(&self, exponent: &Self) -> Result<Self, String> {
        if !exponent.0.is_integer() {
            return Err(format!("the exponent {exponent} is not a whole number"));
        }
        let power = i32::try_from(exponent.0.numer()).map_err(|_| too_large())?;
        match (self.is_zero(), power) {
            (true, ..0) => return Err("division by zero".to_owned()),
            (true, 0) => return Ok(Self(BigInt::from(1).into())),
            (true, 1..) => return Ok(self.clone()),
            (false, _) => {}
        }
        // A number of b bits is at least 2^(b-1): what is certainly too large is not computed.
        let least_bits = (self.bits() - 1).saturating_mul(u64::from(power.unsigned_abs()));
        match least_bits > MAX_BITS {
            true => Err(too_large()),
            false => Self(self.0.pow(power)).bounded(),
        }
    }

    fn is_zero(&self) -> bool {
        self.0.numer().sign() == Sign::NoSign
    }

    /// How many digits behind the point say this number exactly, if so many do.
    fn exact_decimals(&self) -> Option<usize> {
        let (two, five) = (factors(self.0.denom(), 2), factors(self.0.denom(), 5));
        let rest = self.0.denom() / (BigInt::from(2).pow(two) * BigInt::from(5).pow(five));
        let decimals = two.max(five) as usize;
        (rest == BigInt::from(1) && decimals <= MAX_EXACT_DECIMALS).then_some(decimals)
    }

    /// The power of ten of the first digit that is not 0.
    fn magnitude(&self) -> i64 {
        let digits = |number: &BigInt| number.magnitude().to_string().len() as i64;
        let guess = digits(self.0.numer()) - digits(self.0.denom());
        let absolute = if self.0.numer().sign() == Sign::Minus { -&self.0 } else { self.0.clone() };
        if absolute >= shifted(&BigInt::from(1).into(), guess) { guess } else { guess - 1 }
    }

    /// The number times a power of ten, to the nearest whole one (halves away from zero), as digits.
    fn digits(&self, power: i64) -> String {
        shifted(&self.0, power).round().to_integer().magnitude().to_string()
    }
}

impl fmt::Display for Number {
    /// Exact, or marked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0.numer().sign() == Sign::Minus { "-" } else { "" };
        if let Some(decimals) = self.exact_decimals() {
            let digits = self.digits(decimals as i64);
            return write!(f, "{sign}{}", with_point(&digits, decimals));
        }
        let magnitude = self.magnitude();
        let decimals = ROUNDED_DIGITS - 1 - magnitude;
        if magnitude >= -MAX_ZEROS {
            // Of a large number, all digits before the point.
            let decimals = usize::try_from(decimals).unwrap_or(0);
            let text = with_point(&self.digits(decimals as i64), decimals);
            return write!(f, "{sign}{text} (rounded)");
        }
        let digits = self.digits(decimals);
        // Rounding 9.99 up makes one digit more.
        let magnitude = magnitude + digits.len() as i64 - ROUNDED_DIGITS;
        let text = with_point(&digits, digits.len() - 1);
        write!(f, "{sign}{text}e{magnitude} (rounded)")
    }
}

fn too_large() -> String {
    format!("the numbers are too large: at most {} digits", MAX_BITS * 3 / 10)
}

/// How often a factor is in a number that is not 0.
fn factors(number: &BigInt, factor: u32) -> u32 {
    let (factor, zero) = (BigInt::from(factor), BigInt::from(0));
    let (mut rest, mut count) = (number.clone(), 0);
    while &rest % &factor == zero {
        rest /= &factor;
        count += 1;
    }
    count
}

fn shifted(number: &BigRational, power: i64) -> BigRational {
    let power = i32::try_from(power).expect("a bounded number has few digits");
    number * BigRational::from(BigInt::from(10)).pow(power)
}

/// `12345` with three decimals is `12.345`; zeros at the end say nothing.
fn with_point(digits: &str, decimals: usize) -> String {
    if decimals == 0 {
        return digits.to_owned();
    }
    let digits = format!("{digits:0>width$}", width = decimals + 1);
    let (whole, decimals) = digits.split_at(digits.len() - decimals);
    format!("{whole}.{decimals}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(numerator: i64, denominator: i64) -> Number {
        Number(BigRational::new(numerator.into(), denominator.into()))
    }

    #[test]
    fn numbers_are_written_exactly_or_marked() {
        for (numerator, denominator, text) in [
            (0, 1, "0"),
            (24, 1, "24"),
            (-35, 2, "-17.5"),
            (1, 8, "0.125"),
            (100, 1, "100"),
            (1, 3, "0.333333333333 (rounded)"),
            (-2, 3, "-0.666666666667 (rounded)"),
            (20_000, 3, "6666.66666667 (rounded)"),
            (1, 3_000_000, "0.000000333333333333 (rounded)"),
            (1_000_000_000_000_000_000, 3, "333333333333333333 (rounded)"),
            (2_999_999_999_999_999_999, 3_000_000_000, "1000000000 (rounded)"),
        ] {
            assert_eq!(
                ratio(numerator, denominator).to_string(),
                text,
                "{numerator}/{denominator}"
            );
        }
        let tiny = ratio(1, 3).to_the(&ratio(60, 1)).unwrap();
        assert_eq!(tiny.to_string(), "2.35898248759e-29 (rounded)");
        let large = ratio(2, 1).to_the(&ratio(100, 1)).unwrap();
        assert_eq!(large.to_string(), "1267650600228229401496703205376");
    }

    #[test]
    fn numbers_do_not_grow_without_bound() {
        let ten = ratio(10, 1);
        for power in [2_000, -2_000, i64::MAX, i64::MIN] {
            assert!(ten.to_the(&ratio(power, 1)).unwrap_err().contains("too large"), "{power}");
        }
        let large = ten.to_the(&ratio(1_200, 1)).unwrap();
        assert!(large.times(&large).is_err());
        assert!(Number::parse(&"9".repeat(100_000), "").is_err());
        assert_eq!(ratio(-1, 1).to_the(&ratio(i64::from(i32::MAX), 1)), Ok(ratio(-1, 1)));
        assert!(ratio(0, 1).to_the(&ratio(-1, 1)).unwrap_err().contains("zero"));
        assert!(ten.to_the(&ratio(1, 2)).unwrap_err().contains("0.5"));
    }
}
