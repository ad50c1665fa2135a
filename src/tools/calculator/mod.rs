//! `calculator[expression]`: sums, exact where decimals can say them. Knows whole and broken numbers, no function and no unit.

mod expression;
mod number;

use crate::tools::call::Call;
use crate::tools::call::Declaration;
use crate::tools::tool::Given;
use crate::tools::tool::Tool;
use std::time::Instant;

/// What the action is called.
pub const NAME: &str = "calculator";

/// What stands between the brackets.
const EXPRESSION: &str = "expression";

/// Computes sums.
#[derive(Clone, Copy, Debug)]
pub struct Calculator;

impl Tool for Calculator {
    fn declarations(&self) -> Vec<Declaration> {
        let description = "Computes an expression of numbers, + - * / ^, % and parentheses exactly; \
                           a result that decimals cannot say is rounded, and marked.";
        let example = "The expression, such as 48/2 or (3+4)*2.5";
        vec![Declaration::of_texts(NAME, description, &[(EXPRESSION, example)])]
    }

    fn run(&self, call: &Call, _: &mut Given, _: Instant) -> Result<String, String> {
        let [expression] = call.argument.texts([EXPRESSION])?;
        evaluate(&expression)
    }
}

/// What an expression comes to, as it is observed.
///
/// # Errors
/// What is wrong with it.
pub fn evaluate(expression: &str) -> Result<String, String> {
    Ok(expression::value(expression)?.to_string())
}

#[cfg(test)]
mod tests {
    use super::expression::value;
    use proptest::prelude::*;

    /// An expression, and what it is as a fraction of `i128`; none where that has no room or divides by zero.
    #[derive(Clone, Debug)]
    struct Sum {
        text: String,
        is: Option<(i128, i128)>,
    }

    fn leaf() -> impl Strategy<Value = Sum> {
        (0..10_000i128, 0..3usize).prop_map(|(number, decimals)| {
            let scale = 10i128.pow(decimals as u32);
            let (whole, part) = (number / scale, number % scale);
            let text = match decimals {
                0 => format!("{whole}"),
                _ => format!("{whole}.{part:0>decimals$}"),
            };
            Sum { text, is: Some((number, scale)) }
        })
    }

    fn sums() -> impl Strategy<Value = Sum> {
        let join = |left: Sum, sign: char, right: Sum| {
            let is = left.is.zip(right.is).and_then(|((a, b), (c, d))| match sign {
                '+' => Some((a.checked_mul(d)?.checked_add(c.checked_mul(b)?)?, b.checked_mul(d)?)),
                '-' => Some((a.checked_mul(d)?.checked_sub(c.checked_mul(b)?)?, b.checked_mul(d)?)),
                '*' => Some((a.checked_mul(c)?, b.checked_mul(d)?)),
                _ if c == 0 => None,
                _ => Some((a.checked_mul(d)?, b.checked_mul(c)?)),
            });
            Sum { text: format!("({} {sign} {})", left.text, right.text), is }
        };
        leaf().prop_recursive(4, 12, 2, move |inner| {
            let signs = prop::sample::select(vec!['+', '-', '*', '/']);
            (inner.clone(), signs, inner)
                .prop_map(move |(left, sign, right)| join(left, sign, right))
        })
    }

    /// The number nearest to `numerator / denominator` with as many decimals as `text` has.
    fn is_nearest(text: &str, numerator: i128, denominator: i128) -> Option<bool> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let scale = 10i128.checked_pow(decimals.len() as u32)?;
        let said: i128 = format!("{whole}{decimals}").parse().ok()?;
        // |said / scale - n / d| <= 1 / (2 scale)
        let error = said.checked_mul(denominator)?.checked_sub(numerator.checked_mul(scale)?)?;
        Some(error.checked_mul(2)?.abs() <= denominator.abs())
    }

    proptest! {
        #[test]
        fn sums_are_what_whole_numbers_say(sum in sums()) {
            if let Some((numerator, denominator)) = sum.is {
                let said = value(&sum.text).unwrap().to_string();
                match said.strip_suffix(" (rounded)") {
                    Some(text) if !text.contains('e') => {
                        prop_assert_ne!(is_nearest(text, numerator, denominator), Some(false), "{}", sum.text);
                    }
                    Some(_) => {}
                    None => {
                        let back = value(&format!("({said}) * ({denominator}) - ({numerator})"));
                        prop_assert_eq!(back.unwrap().to_string(), "0", "{}", sum.text);
                    }
                }
            }
        }

        #[test]
        fn garbage_is_refused_and_never_panics(text in "[-+*/^%().,$0-9a ]{0,40}|\\PC{0,40}") {
            if let Ok(number) = value(&text) {
                number.to_string();
            }
        }
    }
}
