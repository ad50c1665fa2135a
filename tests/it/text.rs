//! Text token by token is text all at once, as the tokenizers library writes it, and no character is ever split: for
//! every way of writing text that published tokenizers have.

use crate::support::data;
use coconut::text::Tokenizer;
use proptest::prelude::*;
use serde_json::Value;
use std::str::FromStr as _;
use std::sync::LazyLock;
use std::time::Duration;
use std::time::Instant;

/// A tokenizer, ours and the library's.
struct Pair {
    name: String,
    ours: Tokenizer,
    theirs: tokenizers::Tokenizer,
    /// Ids with the text that the Python package makes of them.
    expected: Vec<(Vec<u32>, String)>,
}

/// Of `tests/data/tokenizers`, the tokenizer of a fixture, and one of words as `generate-data` has it.
static PAIRS: LazyLock<Vec<Pair>> = LazyLock::new(|| {
    let text = std::fs::read_to_string(data("tokenizers/expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    let kinds = expected.as_object().unwrap().iter();
    let kinds = kinds.map(|(name, cases)| {
        let cases = cases.as_array().unwrap().iter().map(|case| {
            let ids = serde_json::from_value(case["ids"].clone()).unwrap();
            (ids, case["text"].as_str().unwrap().to_owned())
        });
        pair(&format!("tokenizers/{name}.json"), cases.collect())
    });
    let fixtures = ["coconut-gpt2-hf/tokenizer.json", "../../models/prosqa/tokenizer.json"];
    kinds.chain(fixtures.map(|name| pair(name, Vec::new()))).collect()
});

fn pair(name: &str, expected: Vec<(Vec<u32>, String)>) -> Pair {
    let text = std::fs::read_to_string(data(name)).unwrap();
    let ours = Tokenizer::from_json(&text).unwrap();
    let theirs = tokenizers::Tokenizer::from_str(&text).unwrap();
    Pair { name: name.to_owned(), ours, theirs, expected }
}

fn named(name: &str) -> &'static Pair {
    PAIRS.iter().find(|pair| pair.name.contains(name)).unwrap()
}

/// The pieces of `ids`, one a token, and what is left at the end.
fn pieces(tokenizer: &Tokenizer, ids: &[u32]) -> Vec<String> {
    let mut decoder = tokenizer.decoder();
    let mut pieces: Vec<String> = ids.iter().map(|&id| decoder.push(tokenizer.token(id))).collect();
    pieces.push(decoder.finish());
    assert!(!decoder.is_unfinished());
    pieces
}

/// Ids of which many are side by side in the vocabulary, as byte tokens are, and some outside of it.
fn ids() -> impl Strategy<Value = Vec<u32>> {
    let near = (0..450_u32, 0..6_u32).prop_map(|(id, step)| vec![id; step as usize]);
    let run = prop::collection::vec(3..260_u32, 0..8);
    let any = (0..450_u32).prop_map(|id| vec![id]);
    let characters =
        "\\PC{0,3}".prop_map(|text: String| text.bytes().map(|b| 3 + u32::from(b)).collect());
    prop::collection::vec(prop_oneof![near, run, any, characters], 0..12)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn pieces_concatenate_to_what_the_library_decodes(ids in ids()) {
        for pair in PAIRS.iter() {
            let whole = std::panic::catch_unwind(|| pair.theirs.decode(&ids, true).unwrap());
            // The library fails where nothing is left to decode.
            let Ok(whole) = whole else { continue };
            prop_assert_eq!(pieces(&pair.ours, &ids).concat(), whole, "{}", &pair.name);
        }
    }

    #[test]
    fn real_text_is_never_split_within_a_character(text in "\\PC{0,30}") {
        for name in ["byte_level", "coconut-gpt2-hf", "llama2", "gemma"] {
            let Pair { ours, theirs, .. } = named(name);
            let ids = ours.encode(&text, true).unwrap();
            let pieces = pieces(ours, &ids);
            prop_assert_eq!(pieces.concat(), theirs.decode(&ids, true).unwrap());
            let split = pieces.iter().any(|piece| piece.contains(char::REPLACEMENT_CHARACTER));
            prop_assert!(!split || text.contains(char::REPLACEMENT_CHARACTER), "{}", name);
        }
    }
}

#[test]
fn text_is_what_python_makes_of_the_ids() {
    for pair in PAIRS.iter() {
        for (ids, text) in &pair.expected {
            assert_eq!(&pieces(&pair.ours, ids).concat(), text, "{}: {ids:?}", pair.name);
            assert_eq!(&pair.ours.decode(ids), text, "{}: {ids:?}", pair.name);
        }
    }
}

#[test]
fn a_character_of_many_tokens_comes_with_its_last_one() {
    let tokenizer = &named("coconut-gpt2-hf").ours;
    let ids = tokenizer.encode("a🥥b", true).unwrap();
    let pieces = pieces(tokenizer, &ids);
    assert!(ids.len() > 3, "the coconut is several tokens");
    let with_coconut: Vec<_> = pieces.iter().filter(|piece| piece.contains('🥥')).collect();
    assert_eq!(with_coconut.len(), 1);
}

/// What is certain is not held back: a reader sees the answer grow.
#[test]
fn ordinary_text_comes_token_by_token() {
    for pair in PAIRS.iter().filter(|pair| !pair.name.contains("by_expression")) {
        let ids = pair.ours.encode("the cat sat on the mat", false).unwrap();
        let pieces = pieces(&pair.ours, &ids);
        let at_once = pieces.last().map_or(0, String::len);
        let longest = ids.iter().map(|&id| pair.ours.token_text(id).len()).max().unwrap();
        assert!(at_once <= longest, "{}: {pieces:?}", pair.name);
    }
}

/// One rule for all kinds: a token by itself reads as it does in the middle of a text.
#[test]
fn a_token_alone_keeps_the_space_that_it_has_in_a_text() {
    // One replaces what tokens have become, the other has letters alone.
    let others =
        |pair: &&Pair| !["by_expression", "letters"].iter().any(|name| pair.name.contains(name));
    for pair in PAIRS.iter().filter(others) {
        let ids = pair.ours.encode("the cat sat on the mat", false).unwrap();
        let shown: Vec<String> = ids.iter().map(|&id| pair.ours.token_text(id)).collect();
        let whole = pair.theirs.decode(&ids, true).unwrap();
        // Only its ends may read differently.
        assert_eq!(shown.concat().trim(), whole.trim(), "{}: {shown:?}", pair.name);
    }
    for (name, token, text) in [
        ("byte_level", "Ġthe", " the"),
        ("llama2", "▁the▁", " the "),
        ("llama2", "<0x0A>", "\n"),
        ("llama2", "<0xF0>", "\u{fffd}"),
        ("llama2", "</s>", "</s>"),
        ("gemma", "▁the▁", " the "),
        ("unigram", "▁the", " the"),
        ("word_piece", "the", " the"),
        ("word_ends", "the</w>", "the "),
        ("words", "the", " the"),
        ("letters", "a", "a"),
        ("letters", "|", " "),
        ("letters", "<pad>", "<pad>"),
        ("prosqa", "wumpus", " wumpus"),
        ("prosqa", ".", "."),
    ] {
        let tokenizer = &named(name).ours;
        let id = tokenizer.id(token).unwrap_or_else(|| panic!("{name} has no {token}"));
        assert_eq!(tokenizer.token_text(id), text, "{name}: {token}");
        assert_eq!(tokenizer.name(id), token);
    }
    assert_eq!(named("llama2").ours.token_text(1 << 20), "<1048576>");
}

/// Each of them may make all before it invalid, and none may cost more than the one before.
#[test]
fn a_long_run_of_bytes_takes_no_longer_per_byte() {
    let Pair { ours, theirs, .. } = named("llama2");
    let byte = |byte: u8| ours.id(&format!("<0x{byte:02X}>")).unwrap();
    let emoji: Vec<u32> = "😀".bytes().map(byte).collect();
    let broken = [vec![byte(0xff)], emoji.clone()].concat();
    for ids in [emoji.repeat(10_000), broken.repeat(10_000), vec![byte(0xf0); 40_000]] {
        let began = Instant::now();
        let text = pieces(ours, &ids).concat();
        // Decoding all of it again with each token would take hours.
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        assert_eq!(text, theirs.decode(&ids, true).unwrap());
    }
}
