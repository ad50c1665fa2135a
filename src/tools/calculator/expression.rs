//! Expressions as questions about sums write them, computed while they are read. Knows nothing of how numbers are kept.

use crate::tools::calculator::number::Number;
use std::iter::Peekable;
use std::str::Chars;

/// More than any question has; each one deeper takes some of the thread's stack.
const MAX_DEPTH: usize = 64;

/// More characters than a line of a sum has.
const MAX_CHARS: usize = 1000;

/// What is left to read.
struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    depth: usize,
}

/// The value of an expression. What stands behind `=` is what somebody thinks it is, and does not count.
pub(super) fn value(text: &str) -> Result<Number, String> {
    if text.chars().count() > MAX_CHARS {
        return Err(format!("the expression is longer than {MAX_CHARS} characters"));
    }
    let text = text.split('=').next().unwrap_or_default();
    let mut reader = Reader { rest: text.chars().peekable(), depth: 0 };
    let value = reader.sum()?;
    match reader.next() {
        None => Ok(value),
        Some(found) => Err(format!("\"{found}\" is not expected there")),
    }
}

impl Reader<'_> {
    /// The next character that is not space, which stays.
    fn next(&mut self) -> Option<char> {
        while self.rest.next_if(|c| c.is_whitespace()).is_some() {}
        self.rest.peek().copied()
    }

    fn skip(&mut self, found: impl FnOnce(char) -> bool) -> bool {
        let is_it = self.next().is_some_and(found);
        if is_it {
            self.rest.next();
        }
        is_it
    }

    /// `a + b - c`
    fn sum(&mut self) -> Result<Number, String> {
        let mut value = self.product()?;
        loop {
            if self.skip(|c| c == '+') {
                value = value.plus(&self.product()?)?;
            } else if self.skip(is_minus) {
                value = value.minus(&self.product()?)?;
            } else {
                return Ok(value);
            }
        }
    }

    /// `a * b / c`
    fn product(&mut self) -> Result<Number, String> {
        let mut value = self.signed()?;
        loop {
            if self.skip(|c| matches!(c, '*' | '×' | '·')) {
                value = value.times(&self.signed()?)?;
            } else if self.skip(|c| matches!(c, '/' | '÷')) {
                value = value.over(&self.signed()?)?;
            } else {
                return Ok(value);
            }
        }
    }

    /// `-a`, which is less than a power: `-2^2` is -4.
    fn signed(&mut self) -> Result<Number, String> {
        let mut is_negative = false;
        loop {
            if self.skip(is_minus) {
                is_negative = !is_negative;
            } else if !self.skip(|c| c == '+') {
                let value = self.power()?;
                return Ok(if is_negative { value.negative() } else { value });
            }
        }
    }

    /// `a ^ b ^ c` is `a ^ (b ^ c)`; `**` is the same.
    fn power(&mut self) -> Result<Number, String> {
        let base = self.percentage()?;
        let is_power = self.skip(|c| c == '^') || self.skip_stars();
        if !is_power {
            return Ok(base);
        }
        let exponent = self.deeper(Self::signed)?;
        base.to_the(&exponent)
    }

    fn skip_stars(&mut self) -> bool {
        self.next();
        let mut ahead = self.rest.clone();
        let are_two = ahead.next() == Some('*') && ahead.next() == Some('*');
        if are_two {
            self.rest = ahead;
        }
        are_two
    }

    /// `a%`
    fn percentage(&mut self) -> Result<Number, String> {
        let mut value = self.operand()?;
        while self.skip(|c| c == '%') {
            value = value.percent()?;
        }
        Ok(value)
    }

    /// A number, with a sign of money or not, or an expression in parentheses.
    fn operand(&mut self) -> Result<Number, String> {
        if self.skip(|c| c == '(') {
            let value = self.deeper(Self::sum)?;
            return match self.skip(|c| c == ')') {
                true => Ok(value),
                false => Err("a parenthesis is not closed".to_owned()),
            };
        }
        self.skip(|c| matches!(c, '$' | '€' | '£'));
        self.number()
    }

    fn deeper(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Number, String>,
    ) -> Result<Number, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("it is more than {MAX_DEPTH} deep"));
        }
        let value = read(self);
        self.depth -= 1;
        value
    }

    /// `1,000.50`, `.5`, `5.`
    fn number(&mut self) -> Result<Number, String> {
        let found = self.next();
        let whole = self.whole()?;
        let decimals = match self.rest.next_if_eq(&'.') {
            Some(_) => self.digits(),
            None => String::new(),
        };
        match (whole.is_empty() && decimals.is_empty(), found) {
            (false, _) => Number::parse(&whole, &decimals),
            (true, Some(found)) => Err(format!("\"{found}\" stands where a number is expected")),
            (true, None) => Err("it ends where a number is expected".to_owned()),
        }
    }

    /// Digits; commas part thousands and nothing else.
    fn whole(&mut self) -> Result<String, String> {
        let mut whole = self.digits();
        while !whole.is_empty() && self.rest.next_if_eq(&',').is_some() {
            let group = self.digits();
            if group.len() != 3 {
                return Err("a comma stands where it parts no thousands".to_owned());
            }
            whole.push_str(&group);
        }
        Ok(whole)
    }

    fn digits(&mut self) -> String {
        let mut digits = String::new();
        while let Some(digit) = self.rest.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        digits
    }
}

fn is_minus(c: char) -> bool {
    matches!(c, '-' | '−')
}

#[cfg(test)]
mod tests {
    use super::value;

    fn written(text: &str) -> String {
        value(text).map_or_else(|error| format!("error: {error}"), |value| value.to_string())
    }

    #[test]
    fn sums_are_read_as_questions_write_them() {
        for (text, is) in [
            ("48/2", "24"),
            ("5*3.5", "17.5"),
            ("48/2=", "24"),
            ("48/2=25", "24"),
            ("$1,234.50 + .5", "1235"),
            ("20%*50", "10"),
            ("(1+2)*(3-5)", "-6"),
            ("2^3^2", "512"),
            ("2**-1 * 4", "2"),
            ("-2^2", "-4"),
            ("2--3", "5"),
            ("10−4÷2×3", "4"),
            ("5. - 1", "4"),
            ("1/3*3", "1"),
            ("0.1+0.2", "0.3"),
        ] {
            assert_eq!(written(text), is, "{text}");
        }
    }

    #[test]
    fn what_is_no_sum_is_refused_with_the_reason() {
        for (text, says) in [
            ("", "ends where"),
            ("2+", "ends where"),
            ("two", "\"t\" stands where"),
            ("2 apples", "\"a\" is not expected"),
            ("(1+2", "not closed"),
            ("1+2)", "\")\" is not expected"),
            ("1/0", "division by zero"),
            ("1/(2-2)", "division by zero"),
            ("1,00", "thousands"),
            ("7 % 3", "\"3\" is not expected"),
            ("9^9^9", "too large"),
            ("2^0.5", "whole number"),
        ] {
            assert!(written(text).contains(says), "{text}: {}", written(text));
        }
        let deep = format!("{}1{}", "(".repeat(400), ")".repeat(400));
        assert!(written(&deep).contains("deep"), "{}", written(&deep));
        assert!(written(&"1+".repeat(600)).contains("longer"));
    }
}
