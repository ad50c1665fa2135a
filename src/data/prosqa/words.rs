//! The words ProsQA is told in, and their order as a vocabulary. Knows no graph and builds no tokenizer.

/// Names of entities: those of the published questions.
pub const NAMES: [&str; 17] = [
    "Bob", "Tom", "Max", "Oliver", "Jack", "Sam", "Carol", "Alex", "Polly", "Gabriel", "Eva",
    "Sally", "Stella", "Fae", "Davis", "Wren", "Rex",
];

/// Names of concepts: those of the published questions.
pub const CONCEPTS: [&str; 38] = [
    "scrompus", "sterpus", "quimpus", "wumpus", "tumpus", "yimpus", "vumpus", "boompus", "fompus",
    "storpus", "shumpus", "rempus", "bompus", "hilpus", "kerpus", "rorpus", "jelpus", "yerpus",
    "terpus", "jompus", "zumpus", "lempus", "lorpus", "gorpus", "grimpus", "gerpus", "rompus",
    "brimpus", "impus", "felpus", "worpus", "chorpus", "numpus", "zhorpus", "gwompus", "dumpus",
    "yumpus", "timpus",
];

/// Padding.
pub const PAD: &str = "<|pad|>";
/// The end of an answer.
pub const END_OF_TEXT: &str = "<|endoftext|>";
/// Whatever is not in the vocabulary.
pub const UNKNOWN: &str = "<|unk|>";
/// Before, after, and in the place of thoughts.
pub const MARKERS: [&str; 3] = ["<|start-latent|>", "<|end-latent|>", "<|latent|>"];

/// What a token is: longer patterns first. Spaces between tokens are dropped, and come back when decoding.
pub const PATTERN: &str = r"###|\n|\. Every\b|Every\b|is a\b|[A-Za-z]+|[.?]";

/// All tokens; a token's id is its index.
pub fn vocabulary() -> Vec<&'static str> {
    let [start, end, latent] = MARKERS;
    let words = [
        PAD,
        start,
        end,
        END_OF_TEXT,
        "###",
        "\n",
        "Every",
        ". Every",
        "is a",
        ".",
        "Is",
        "or",
        "?",
        UNKNOWN,
        "a",
    ];
    words.into_iter().chain(NAMES).chain(CONCEPTS).chain([latent]).collect()
}
