//! Text token by token is text all at once, and no character is ever split.

use crate::support::data;
use coconut::text::Tokenizer;
use coconut::text::decode::IncrementalDecoder;
use proptest::prelude::*;

/// The pieces of `ids`, one a token, and what is left at the end.
fn pieces(tokenizer: &Tokenizer, ids: &[u32]) -> Vec<String> {
    let mut decoder = IncrementalDecoder::default();
    let mut pieces: Vec<String> = ids.iter().map(|&id| decoder.push(tokenizer, id)).collect();
    pieces.push(decoder.finish(tokenizer));
    pieces
}

fn byte_level() -> Tokenizer {
    Tokenizer::load(&data("coconut-gpt2-hf").join("tokenizer.json")).unwrap()
}

proptest! {
    #[test]
    fn pieces_concatenate_to_the_whole_text(ids in prop::collection::vec(0..404u32, 0..40)) {
        let tokenizer = byte_level();
        prop_assert_eq!(pieces(&tokenizer, &ids).concat(), tokenizer.decode(&ids));
    }

    #[test]
    fn real_text_is_never_split_within_a_character(text in "\\PC{0,30}") {
        let tokenizer = byte_level();
        let ids = tokenizer.encode(&text, true).unwrap();
        let pieces = pieces(&tokenizer, &ids);
        prop_assert_eq!(pieces.concat(), text.clone());
        let split = pieces.iter().any(|piece| piece.contains(char::REPLACEMENT_CHARACTER));
        prop_assert!(!split || text.contains(char::REPLACEMENT_CHARACTER));
    }
}

#[test]
fn a_character_of_many_tokens_comes_with_its_last_one() {
    let tokenizer = byte_level();
    let ids = tokenizer.encode("a🥥b", true).unwrap();
    let pieces = pieces(&tokenizer, &ids);
    assert!(ids.len() > 3, "the coconut is several tokens");
    let with_coconut: Vec<_> = pieces.iter().filter(|piece| piece.contains('🥥')).collect();
    assert_eq!(with_coconut.len(), 1);
}
