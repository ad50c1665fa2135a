//! What a tokenizer does not know is said, as Hugging Face's own package finds it; and a text is called too long only if
//! it is. The tokenizers were written by that package (`tests/data/unknown/make.py`).

use crate::support::data;
use crate::support::models;
use coconut::text::Tokenizer;
use coconut::text::encode::Within;
use proptest::prelude::*;
use serde_json::Value;

const KINDS: [&str; 7] =
    ["word-level", "word-piece", "unigram", "bpe-unk", "bpe-fused", "byte-level", "replacing"];

fn tokenizer(kind: &str) -> Tokenizer {
    Tokenizer::load(&data("unknown").join(format!("{kind}.json"))).unwrap()
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|string| string.as_str().unwrap()).collect()
}

#[test]
fn unknown_text_is_named_in_every_kind_of_tokenizer() {
    let expected = std::fs::read(data("unknown").join("expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    for kind in KINDS {
        let tokenizer = tokenizer(kind);
        for case in expected[kind].as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            let Within::Whole(encoded) = tokenizer.encode_within(text, true, 1).unwrap() else {
                panic!("{kind}: {text:?} is short")
            };
            assert_eq!(serde_json::json!(encoded.ids), case["ids"], "{kind}: {text:?}");
            let mut unknown = strings(&case["unknown"]);
            assert_eq!(encoded.unknown.tokens, unknown.len(), "{kind}: {text:?}");
            unknown.dedup();
            assert_eq!(encoded.unknown.pieces, unknown, "{kind}: {text:?}");
        }
    }
}

#[test]
fn many_unknown_words_are_counted_and_a_few_named() {
    let text: String = (0..20).map(|number| format!("{}{number} ", "w".repeat(40))).collect();
    let Within::Whole(encoded) = tokenizer("word-level").encode_within(&text, true, 64).unwrap()
    else {
        panic!("20 tokens are few")
    };
    assert_eq!(
        (encoded.unknown.tokens, encoded.unknown.pieces.len()),
        (20, 1),
        "cut, they are one"
    );
    let said = encoded.unknown.to_string();
    assert_eq!(said, format!("20 unknown tokens (`{}`)", "w".repeat(32)));
}

/// The checkpoint's tokenizer keeps what its pattern matches and drops what is between.
#[test]
fn what_a_tokenizer_leaves_out_is_unknown_as_well() {
    let tokenizer = Tokenizer::load(&models("prosqa").join("tokenizer.json")).unwrap();
    for (text, unknown) in [
        ("Is Tom a lempus or a scrompus?", &[][..]),
        ("Is Tom, 🦀, a lempus\u{0}?", &[", 🦀,", "\u{0}"]),
        ("🦀🦀🦀", &["🦀🦀🦀"]),
    ] {
        let Within::Whole(encoded) = tokenizer.encode_within(text, true, 64).unwrap() else {
            panic!("{text:?} is short")
        };
        assert_eq!(encoded.unknown.pieces, unknown, "{text:?}");
        assert_eq!(encoded.unknown.tokens, unknown.len(), "{text:?}");
    }
}

#[test]
fn a_text_that_is_far_too_long_is_known_by_its_beginning() {
    for kind in KINDS.into_iter().filter(|kind| *kind != "replacing") {
        let text = "tom has apples ".repeat(70_000);
        let Within::TooLong { bytes, tokens } =
            tokenizer(kind).encode_within(&text, true, 100).unwrap()
        else {
            panic!("{kind}: all of it was read")
        };
        assert!(bytes <= 4096 && tokens > 200, "{kind}: {tokens} tokens in {bytes} bytes");
    }
}

/// Each of these has few tokens for many bytes, or many tokens only where its end is not seen.
#[test]
fn a_long_text_of_few_tokens_is_not_too_long() {
    let long_word = "x".repeat(200_000);
    let long_aside = format!("tom [{}] has", "tom ".repeat(50_000));
    let spaces = format!("tom{}has", " ".repeat(200_000));
    for (kind, text, tokens) in [
        ("word-level", long_word.as_str(), 1),
        ("word-piece", &long_word, 3),
        ("bpe-fused", &long_word, 2),
        ("word-level", &spaces, 2),
        ("word-piece", &spaces, 4),
        ("replacing", &long_aside, 2),
    ] {
        let Within::Whole(encoded) = tokenizer(kind).encode_within(text, true, 8).unwrap() else {
            panic!("{kind}: called too long")
        };
        assert_eq!(encoded.ids.len(), tokens, "{kind}");
    }
}

proptest! {
    #[test]
    fn what_is_called_too_long_is(
        kind in prop::sample::select(KINDS.to_vec()),
        words in prop::collection::vec("[a-z]{1,9}|tom|has|  |\\n|[.,!]|日本|\\[|\\]", 1..40),
        times in 1_usize..400,
        most in 1_usize..300,
    ) {
        let (tokenizer, text) = (tokenizer(kind), words.join(" ").repeat(times));
        let tokens = tokenizer.encode(&text, true).unwrap();
        match tokenizer.encode_within(&text, true, most).unwrap() {
            Within::Whole(encoded) => prop_assert_eq!(encoded.ids, tokens),
            Within::TooLong { .. } => prop_assert!(tokens.len() > most, "{} of {}", tokens.len(), most),
        }
    }
}
