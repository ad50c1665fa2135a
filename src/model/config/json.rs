//! `config.json` as Hugging Face transformers writes and reads it: which architecture, the fields that all of them have,
//! and whether sizes are possible. Every refusal names the field; fields that nobody here knows are ignored.

use crate::model::config::Architecture;
use crate::model::config::Config;
use crate::model::config::LatentIds;
use crate::model::config::MAX_SIZE;
use crate::model::config::fields::Fields;
use crate::model::config::gpt2;
use crate::model::config::llama;
use crate::model::error::Result;
use serde_json::Value;

/// The largest table of rotary angles, in numbers: a million positions of heads of 128.
const MAX_ANGLES: usize = 1 << 27;

impl Config {
    /// From parsed JSON.
    pub fn from_json(value: &Value) -> Result<Self> {
        let fields = Fields::of(value)?;
        let config = match architecture(&fields)? {
            Architecture::Gpt2 => gpt2::read(&fields),
            Architecture::Llama => llama::llama(&fields),
            Architecture::Qwen2 => llama::qwen2(&fields),
            Architecture::Qwen3 => llama::qwen3(&fields),
        }?;
        let latent = LatentIds {
            latent_id: fields.id("latent_id")?,
            latent_start_id: fields.id("latent_start_id")?,
            latent_end_id: fields.id("latent_end_id")?,
        };
        let mut eos_ids = fields.ids("eos_token_id")?;
        // Some published configs keep the base model's end-of-sequence id beside a vocabulary of forty words.
        eos_ids.retain(|&id| (id as usize) < config.vocab_size);
        let config = Self { eos_ids, latent, ..config };
        config.check(&fields)?;
        Ok(config)
    }

    fn check(&self, fields: &Fields<'_>) -> Result<()> {
        for (name, size) in self.sizes() {
            if size == 0 || size > MAX_SIZE {
                return Err(fields.invalid(name, format!("is {size}; 1 to {MAX_SIZE} is possible")));
            }
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            let reason =
                format!("is {}, which does not divide the {} heads", self.kv_heads, self.heads);
            return Err(fields.invalid("num_key_value_heads", reason));
        }
        if self.rope.is_some() && !self.head_size.is_multiple_of(2) {
            let reason = "is odd; rotary positions need pairs".to_owned();
            return Err(fields.invalid("head_dim", reason));
        }
        if self.rope.is_some() && self.max_positions.saturating_mul(self.head_size) > MAX_ANGLES {
            let reason = format!("is {}, too many for a table of angles", self.max_positions);
            return Err(fields.invalid("max_position_embeddings", reason));
        }
        let markers = [
            ("latent_start_id", self.latent.latent_start_id),
            ("latent_end_id", self.latent.latent_end_id),
        ];
        for (name, id) in markers {
            if let Some(id) = id.filter(|&id| id as usize >= self.vocab_size) {
                let reason = format!("is {id}, outside the vocabulary of {}", self.vocab_size);
                return Err(fields.invalid(name, reason));
            }
        }
        Ok(())
    }

    /// By the names that the architecture's files have for them.
    fn sizes(&self) -> [(&'static str, usize); 8] {
        let names = match self.architecture {
            Architecture::Gpt2 => [
                "vocab_size",
                "n_positions",
                "n_embd",
                "n_layer",
                "n_head",
                "n_head",
                "n_head",
                "n_inner",
            ],
            Architecture::Llama | Architecture::Qwen2 | Architecture::Qwen3 => [
                "vocab_size",
                "max_position_embeddings",
                "hidden_size",
                "num_hidden_layers",
                "num_attention_heads",
                "num_key_value_heads",
                "head_dim",
                "intermediate_size",
            ],
        };
        let sizes = [
            self.vocab_size,
            self.max_positions,
            self.width,
            self.layers,
            self.heads,
            self.kv_heads,
            self.head_size,
            self.inner,
        ];
        std::array::from_fn(|index| (names[index], sizes[index]))
    }
}

/// The ids that a file names as ends of a sequence: `config.json` or `generation_config.json`.
pub(crate) fn eos_ids(value: &Value) -> Result<Vec<u32>> {
    Fields::of(value)?.ids("eos_token_id")
}

/// Refuses a description without the sizes that random weights need. Beside weights, defaults that do not fit are
/// noticed; here they would be a model of seven billion parameters.
pub(crate) fn check_sizes(value: &Value) -> Result<()> {
    let fields = Fields::of(value)?;
    let sizes: &[&[&str]] = match architecture(&fields)? {
        Architecture::Gpt2 => &gpt2::SIZES,
        Architecture::Llama | Architecture::Qwen2 | Architecture::Qwen3 => &llama::SIZES,
    };
    for names in sizes {
        if names.iter().all(|name| fields.value(name).is_none()) {
            return Err(fields.invalid(names[names.len() - 1], "is missing".to_owned()));
        }
    }
    Ok(())
}

/// Says in a config.json how many tokens and learned positions the weights have, whatever it said before. `None` leaves
/// what is there.
pub(crate) fn state_rows(config: &mut Value, tokens: Option<usize>, positions: Option<usize>) {
    if let Some(rows) = tokens {
        config["vocab_size"] = Value::from(rows);
    }
    if let Some(rows) = positions {
        config["n_positions"] = Value::from(rows);
        for name in gpt2::POSITIONS {
            if config.get(name).is_some() {
                config[name] = Value::from(rows);
            }
        }
    }
}

fn architecture(fields: &Fields<'_>) -> Result<Architecture> {
    let Some(name) = fields.text("model_type")? else {
        return Err(fields.invalid("model_type", "is missing".to_owned()));
    };
    Architecture::ALL.into_iter().find(|architecture| architecture.name() == name).ok_or_else(
        || {
            let known = Architecture::ALL.map(Architecture::name).join(", ");
            fields.invalid("model_type", format!("is `{name}`; supported are {known}"))
        },
    )
}
