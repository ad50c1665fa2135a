//! What PEFT makes of a module's name, in the state dict of a live `PeftModel` (with the adapter's name) and in the
//! file of an adapter (without): pairs, saved copies, trained rows, originals. Knows names only.

/// Parts that only PEFT puts into names.
const MARKS: [&str; 5] =
    ["base_layer", "modules_to_save", "original_module", "token_adapter", "trainable_tokens_delta"];

/// What a name stands for; the string is the weight's own name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The weight.
    Weight(String),
    /// The weight as it was before a trained copy took its place.
    Original(String),
    /// The trained copy, which is what is computed with.
    Saved(String),
    /// A (0) or B (1) of a low-rank pair.
    Half(String, Pair, usize),
    /// Some rows of the weight, trained alone.
    Rows(String),
    /// Nothing that is computed with.
    Spare,
    /// A kind of adapter that is not computed.
    Unsupported(&'static str),
}

/// What a low-rank pair changes, which says how its product lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pair {
    /// A linear layer: A (rank, in), B (out, rank).
    Linear,
    /// A table of rows: A (rank, V), B (D, rank).
    Table,
}

/// A name, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) role: Role,
    /// Which adapter it belongs to, where the name says it.
    pub(super) adapter: Option<String>,
}

/// Whether PEFT has left its mark on a name.
pub(super) fn is_marked(name: &str) -> bool {
    name.split('.').any(|part| MARKS.contains(&part) || part.starts_with("lora_"))
}

/// Takes PEFT's parts out of a name.
pub(super) fn parse(name: &str) -> Parsed {
    let mut kept: Vec<&str> = Vec::new();
    let (mut saved, mut original, mut adapter) = (false, false, None);
    let mut parts = name.split('.');
    while let Some(part) = parts.next() {
        let rest = || parts.clone().collect::<Vec<_>>();
        match part {
            "base_layer" | "token_adapter" => {}
            "original_module" => original = true,
            "modules_to_save" => {
                saved = true;
                // An adapter's file has lost the name, and the weight's own follows at once.
                if parts.clone().count() > 1 {
                    adapter = parts.next().map(str::to_owned);
                }
            }
            "trainable_tokens_original" => return Parsed { role: Role::Spare, adapter },
            "trainable_tokens_delta" => {
                return Parsed { role: Role::Rows(weight(&kept)), adapter: named(&rest()) };
            }
            "lora_A" | "lora_B" | "lora_embedding_A" | "lora_embedding_B" => {
                let (rest, half) = (rest(), usize::from(part.ends_with('B')));
                let pair = if part.starts_with("lora_e") { Pair::Table } else { Pair::Linear };
                let role = match rest.last() {
                    Some(&"bias") => Role::Unsupported("lora_bias"),
                    _ => Role::Half(weight(&kept), pair, half),
                };
                return Parsed { role, adapter: named(&rest) };
            }
            "lora_magnitude_vector" => {
                return Parsed { role: Role::Unsupported("DoRA (use_dora)"), adapter: None };
            }
            _ if part.starts_with("lora_") => {
                let role = Role::Unsupported("a variant of LoRA with more than a pair a weight");
                return Parsed { role, adapter: None };
            }
            _ => kept.push(part),
        }
    }
    let name = kept.join(".");
    let role = match (saved, original) {
        (true, _) => Role::Saved(name),
        (false, true) => Role::Original(name),
        (false, false) => Role::Weight(name),
    };
    Parsed { role, adapter }
}

fn weight(module: &[&str]) -> String {
    module.iter().chain(&["weight"]).copied().collect::<Vec<_>>().join(".")
}

/// The adapter's name among what follows a mark: `default.weight`, `default`, `weight` or nothing.
fn named(rest: &[&str]) -> Option<String> {
    rest.first().filter(|part| !matches!(**part, "weight" | "bias")).map(|part| (*part).to_owned())
}

#[cfg(test)]
mod tests {
    use super::Pair;
    use super::Role;
    use super::parse;

    #[test]
    fn names_are_understood_with_and_without_the_name_of_the_adapter() {
        let half = |name: &str, half| {
            let pair = if name == "wte.weight" { Pair::Table } else { Pair::Linear };
            Role::Half(name.to_owned(), pair, half)
        };
        let cases = [
            ("h.0.c_fc.lora_A.default.weight", half("h.0.c_fc.weight", 0), Some("default")),
            ("h.0.c_fc.lora_B.weight", half("h.0.c_fc.weight", 1), None),
            ("wte.lora_embedding_A.student", half("wte.weight", 0), Some("student")),
            ("wte.lora_embedding_B", half("wte.weight", 1), None),
            ("h.0.c_fc.base_layer.bias", Role::Weight("h.0.c_fc.bias".to_owned()), None),
            ("lm_head.weight", Role::Weight("lm_head.weight".to_owned()), None),
            (
                "lm_head.modules_to_save.x.weight",
                Role::Saved("lm_head.weight".to_owned()),
                Some("x"),
            ),
            ("lm_head.modules_to_save.weight", Role::Saved("lm_head.weight".to_owned()), None),
            ("lm_head.original_module.weight", Role::Original("lm_head.weight".to_owned()), None),
            ("wte.token_adapter.base_layer.weight", Role::Weight("wte.weight".to_owned()), None),
            (
                "wte.token_adapter.trainable_tokens_delta.x",
                Role::Rows("wte.weight".to_owned()),
                Some("x"),
            ),
            ("wte.token_adapter.trainable_tokens_delta", Role::Rows("wte.weight".to_owned()), None),
            ("wte.token_adapter.trainable_tokens_original.x", Role::Spare, None),
            ("q.lora_magnitude_vector.default.weight", Role::Unsupported("DoRA (use_dora)"), None),
            ("q.lora_B.default.bias", Role::Unsupported("lora_bias"), Some("default")),
        ];
        for (name, role, adapter) in cases {
            let parsed = parse(name);
            assert_eq!((parsed.role, parsed.adapter.as_deref()), (role, adapter), "{name}");
        }
    }
}
