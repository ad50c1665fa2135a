//! tokenizer.json, and a question through it.

#![no_main]

use coconut::text::Tokenizer;

libfuzzer_sys::fuzz_target!(
    // The tokenizer library's panics are caught by ours; libFuzzer's hook would end the process before that. A panic
    // that gets out is still found.
    init: std::panic::set_hook(Box::new(|_| {})),
    |text: &str| {
        let Ok(tokenizer) = Tokenizer::from_json(text) else { return };
        if let Ok(ids) = tokenizer.encode("Tom has 3 boxes. Déjà vu?\n", true) {
            std::hint::black_box(tokenizer.decode(&ids));
        }
    }
);
