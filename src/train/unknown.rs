//! Words of questions that the vocabulary does not have: all of them are learnt, and asked, as one and the same token. Knows
//! texts, no method.

use crate::data::example::Example;
use crate::text::TextError;
use crate::text::Tokenizer;

/// How many questions have such words, and which the first one has; nothing where all are known.
///
/// # Errors
/// What the tokenizer refuses.
pub(super) fn say(
    examples: &[Example],
    tokenizer: &Tokenizer,
) -> Result<Option<String>, TextError> {
    let (mut count, mut first) = (0, None);
    for example in examples {
        let Example { question, steps, answer, .. } = example;
        let text = format!("{question}\n{}\n{answer}", steps.join("\n"));
        let unknown = tokenizer.encode_whole(&text, false)?.unknown;
        if unknown.tokens > 0 {
            count += 1;
            first.get_or_insert(unknown);
        }
    }
    let said = |unknown| {
        format!(
            "{count} of {} have words that the tokenizer lacks; the first has {unknown}",
            examples.len()
        )
    };
    Ok(first.map(said))
}
