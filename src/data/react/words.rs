//! The words of dialogues about ProsQA's graphs, and their order as a vocabulary. Builds no tokenizer.

use crate::data::prosqa::words;

/// What a token is: as in questions without dialogues, and the signs of labels and calls.
pub const PATTERN: &str = r"###|\n|\. Every\b|Every\b|is a\b|[A-Za-z]+|[0-9]|[.?\[\],:]";

/// Spaces that come with decoding and are not in the text: around the brackets of a call, before a colon.
pub const TIGHT: [(&str, &str); 4] = [(" [", "["), ("[ ", "["), (" ]", "]"), (" :", ":")];

/// Labels, actions, and what tools say.
const WORDS: [&str; 25] = [
    "Thought",
    "Action",
    "Observation",
    "Finish",
    "path",
    "neighbours",
    "none",
    "unknown",
    "is",
    "no",
    "an",
    "[",
    "]",
    ",",
    ":",
    "0",
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "7",
    "8",
    "9",
];

/// All tokens; a token's id is its index. Those of questions without dialogues come first, with the same ids.
pub fn vocabulary() -> Vec<&'static str> {
    words::vocabulary().into_iter().chain(WORDS).collect()
}
