//! tokenizer.json, and a question through it.

#![no_main]

use coconut::text::Tokenizer;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(tokenizer) = Tokenizer::from_json(text) else { return };
    if let Ok(ids) = tokenizer.encode("Tom has 3 boxes. Déjà vu?\n", true) {
        std::hint::black_box(tokenizer.decode(&ids));
    }
});
