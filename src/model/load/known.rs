//! Architectures that the sizes of the tensors determine, for raw checkpoints that come with no config.json: the four
//! published GPT-2s and the superposition model. Llamas are not among them: the same sizes go with several rotary
//! scalings.

use serde_json::Value;
use serde_json::json;

/// GPT-2's heads are this long in all sizes; the number of heads follows.
const GPT2_HEAD_SIZE: usize = 64;
/// Width and layers of small, medium, large and extra large.
const GPT2_SIZES: [(usize, usize); 4] = [(768, 12), (1024, 24), (1280, 36), (1600, 48)];
/// GPT-2's vocabulary, whose last id ends sequences.
const GPT2_VOCABULARY: usize = 50257;
/// The most rows that a published checkpoint adds to it: three, rounded up to a multiple of 128.
const GPT2_EXTRA_ROWS: usize = 50304 - GPT2_VOCABULARY;

/// config.json of a GPT-2 with these sizes, where they leave no doubt.
pub(super) fn gpt2(rows: usize, positions: usize, width: usize, layers: usize) -> Option<Value> {
    let (heads, vocabulary, eos) = match (width, layers, rows) {
        // Reasoning by superposition: two layers, eight heads, forty words.
        (768, 2, 40) => (8, 40, 38),
        _ => {
            let extra = rows.checked_sub(GPT2_VOCABULARY)?;
            let known = extra <= GPT2_EXTRA_ROWS && GPT2_SIZES.contains(&(width, layers));
            known.then_some((width / GPT2_HEAD_SIZE, GPT2_VOCABULARY, GPT2_VOCABULARY - 1))?
        }
    };
    Some(json!({
        "model_type": "gpt2", "vocab_size": vocabulary, "n_positions": positions, "n_embd": width,
        "n_layer": layers, "n_head": heads, "bos_token_id": eos, "eos_token_id": eos,
    }))
}

#[cfg(test)]
mod tests {
    use super::gpt2;

    #[test]
    fn only_sizes_without_doubt_are_known() {
        let heads = |rows, width, layers| {
            gpt2(rows, 1024, width, layers).map(|config| config["n_head"].as_u64().unwrap_or(0))
        };
        assert_eq!(heads(50260, 768, 12), Some(12));
        assert_eq!(heads(50257, 1600, 48), Some(25));
        assert_eq!(heads(40, 768, 2), Some(8));
        assert_eq!(heads(50260, 768, 11), None);
        assert_eq!(heads(50264, 768, 12), Some(12));
        assert_eq!(heads(50304, 768, 12), Some(12));
        assert_eq!(heads(50305, 768, 12), None);
        assert_eq!(heads(404, 768, 12), None);
    }
}
