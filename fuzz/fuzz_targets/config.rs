//! config.json.

#![no_main]

use coconut::model::config::Config;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(value) = serde_json::from_str(text) else { return };
    if let Ok(config) = Config::from_json(&value) {
        std::hint::black_box((config.parameter_count(), config.kv_floats_per_position()));
    }
});
