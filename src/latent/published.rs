//! The published checkpoints that are known by id: family, number of thoughts, base model, and what accuracy to expect.
//! models/README.md shows the same table; a test compares them. Knows no files and no hub.

use crate::latent::recipe::Recipe;
use crate::model::config::Config;
use serde_json::json;
use std::path::Path;

/// A published checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its id on the hub.
    pub id: &'static str,
    /// The recipe's family.
    pub family: &'static str,
    /// Thoughts per question.
    pub latent_steps: usize,
    /// The id of the base model, for config and tokenizer, where the checkpoint lacks them.
    pub base: Option<&'static str>,
    /// Accuracy to expect, where somebody has said, and who.
    pub accuracy: Option<Accuracy>,
}

/// A claim about accuracy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accuracy {
    /// The test set.
    pub data: &'static str,
    /// Hundredths of a percent.
    pub basis_points: u32,
    /// Whose figure it is.
    pub source: &'static str,
}

const GPT2: Option<&str> = Some("openai-community/gpt2");
const LLAMA_1B: Option<&str> = Some("meta-llama/Llama-3.2-1B-Instruct");
const LLAMA_3B: Option<&str> = Some("meta-llama/Llama-3.2-3B-Instruct");
const LLAMA_8B: Option<&str> = Some("meta-llama/Llama-3.1-8B-Instruct");
const QWEN3_8B: Option<&str> = Some("Qwen/Qwen3-8B");

const SIM_COT_README: &str = "SIM-CoT README";
const SVP_README: &str = "Singular-Value-Perturbation README";
/// The authors have promised to upload this one again.
const SIM_COT_DOUBTED: &str = "SIM-CoT README; 34.27 measured in its issue 15";
const CARD: &str = "model card";

const fn gsm8k(basis_points: u32, source: &'static str) -> Option<Accuracy> {
    Some(Accuracy { data: "GSM8K", basis_points, source })
}

const fn prosqa(basis_points: u32, source: &'static str) -> Option<Accuracy> {
    Some(Accuracy { data: "ProsQA", basis_points, source })
}

const fn entry(
    id: &'static str,
    family: &'static str,
    latent_steps: usize,
    base: Option<&'static str>,
    accuracy: Option<Accuracy>,
) -> Published {
    Published { id, family, latent_steps, base, accuracy }
}

/// All of them, by family.
pub const PUBLISHED: &[Published] = &[
    entry("ModalityDance/latent-tts-coconut", "coconut", 6, None, gsm8k(3412, SVP_README)),
    entry("jihwan1205/svp-v-coconut-gpt2", "coconut", 6, None, gsm8k(5030, SVP_README)),
    entry("jihwan1205/temp-v-coconut-gpt2", "coconut", 6, None, gsm8k(3840, SVP_README)),
    entry("jihwan1205/dense-v-coconut-gpt2", "coconut", 6, None, gsm8k(4190, SVP_README)),
    entry("ModalityDance/slpo-coconut-gpt2", "coconut", 6, None, None),
    entry("tsrigo/coconut", "coconut", 6, GPT2, None),
    entry("Esther22/coconut_Reproduction", "coconut", 6, GPT2, None),
    entry("LangGao/gpt2-cot", "coconut", 6, GPT2, None),
    entry("bmarti44/coconut-curriculum-checkpoints", "coconut", 6, GPT2, prosqa(9700, CARD)),
    entry("connordilgren/gpt2-gsm8k-coconut", "coconut", 6, GPT2, None),
    entry("connordilgren/gpt2-prontoqa-coconut", "coconut", 6, GPT2, None),
    entry("connordilgren/gpt2-prosqa-coconut", "coconut", 6, GPT2, None),
    entry("connordilgren/llama32-1b-gsm8k-coconut", "coconut", 6, LLAMA_1B, None),
    entry("connordilgren/llama32-1b-prontoqa-coconut", "coconut", 6, LLAMA_1B, None),
    entry("connordilgren/llama32-1b-prosqa-coconut", "coconut", 6, LLAMA_1B, None),
    entry(
        "internlm/SIM_COT-GPT2-Coconut",
        "sim-cot-coconut",
        10,
        GPT2,
        gsm8k(4480, SIM_COT_README),
    ),
    entry("zen-E/CODI-gpt2", "codi", 6, GPT2, gsm8k(4246, SVP_README)),
    entry("zen-E/CODI-llama3.2-1b-Instruct", "codi", 6, LLAMA_1B, gsm8k(5557, SVP_README)),
    entry("ModalityDance/latent-tts-codi", "codi", 6, None, gsm8k(4246, SVP_README)),
    entry("ModalityDance/slpo-codi-gpt2", "codi", 6, None, None),
    entry("connordilgren/gpt2-prontoqa-codi", "codi", 6, GPT2, None),
    entry("connordilgren/gpt2-prosqa-codi", "codi", 6, GPT2, None),
    entry("connordilgren/llama32-1b-gsm8k-codi", "codi", 6, LLAMA_1B, None),
    entry("connordilgren/llama32-1b-prontoqa-codi", "codi", 6, LLAMA_1B, None),
    entry("connordilgren/llama32-1b-prosqa-codi", "codi", 6, LLAMA_1B, None),
    entry("simon-pltk/codi-gpt2-prontoqa-latent", "codi", 5, GPT2, None),
    entry("bcywinski/codi_llama1b-answer_only", "codi", 6, LLAMA_1B, None),
    entry("bcywinski/codi_llama3b_gsm8k-strategyqa-commonsense", "codi", 6, LLAMA_3B, None),
    entry("bcywinski/llama1b_gsm8k-strategyqa-commonsense", "codi", 6, LLAMA_1B, None),
    entry("cds-jb/codi_qwen3-8b-answer_only", "codi", 6, QWEN3_8B, None),
    entry("internlm/SIM_COT-GPT2-CODI", "sim-cot-codi", 6, GPT2, gsm8k(4260, SIM_COT_README)),
    entry(
        "internlm/SIM_COT-LLaMA3-CODI-1B",
        "sim-cot-codi",
        6,
        LLAMA_1B,
        gsm8k(5610, SIM_COT_README),
    ),
    entry(
        "internlm/SIM_COT-LLaMA3-CODI-3B",
        "sim-cot-codi",
        6,
        LLAMA_3B,
        gsm8k(6230, SIM_COT_README),
    ),
    entry(
        "internlm/SIM_COT-LLaMA3-CODI-8B",
        "sim-cot-codi",
        6,
        LLAMA_8B,
        gsm8k(6410, SIM_COT_DOUBTED),
    ),
    entry("Shibo-UCSD/coconut-theory", "superposition", 4, None, None),
    entry("connordilgren/gpt2-gsm8k-cot", "cot", 0, GPT2, None),
    entry("connordilgren/gpt2-prontoqa-cot", "cot", 0, GPT2, None),
    entry("connordilgren/gpt2-prosqa-cot", "cot", 0, GPT2, None),
    entry("connordilgren/llama32-1b-gsm8k-cot", "cot", 0, LLAMA_1B, None),
    entry("connordilgren/llama32-1b-prontoqa-cot", "cot", 0, LLAMA_1B, None),
    entry("connordilgren/llama32-1b-prosqa-cot", "cot", 0, LLAMA_1B, None),
    entry("connordilgren/gpt2-gsm8k-no-cot", "no-cot", 0, GPT2, None),
    entry("connordilgren/gpt2-prontoqa-no-cot", "no-cot", 0, GPT2, None),
    entry("connordilgren/gpt2-prosqa-no-cot", "no-cot", 0, GPT2, None),
    entry("connordilgren/llama32-1b-gsm8k-no-cot", "no-cot", 0, LLAMA_1B, None),
    entry("connordilgren/llama32-1b-prontoqa-no-cot", "no-cot", 0, LLAMA_1B, None),
    entry("connordilgren/llama32-1b-prosqa-no-cot", "no-cot", 0, LLAMA_1B, None),
];

/// The entry of an id.
pub fn find(id: &str) -> Option<&'static Published> {
    PUBLISHED.iter().find(|published| published.id.eq_ignore_ascii_case(id))
}

/// The entry whose id a path ends in: `.../owner/name`, or a place in the hub's cache.
pub fn find_by_path(path: &Path) -> Option<&'static Published> {
    let mut parts = path.components().rev().filter_map(|part| part.as_os_str().to_str());
    let (name, owner) = (parts.next()?, parts.next()?);
    let cached = |part: &str| find(&part.strip_prefix("models--")?.replace("--", "/"));
    find(&format!("{owner}/{name}")).or_else(|| parts.next().and_then(cached))
}

impl Published {
    /// A detected recipe with what is known about this checkpoint: the tensors say how to run it, the table how often
    /// to think and what to call it.
    pub fn adjust(&self, recipe: Recipe) -> Recipe {
        let thinks = !recipe.start.is_empty() || !recipe.end.is_empty();
        if thinks != (self.latent_steps > 0) {
            return recipe;
        }
        let mut recipe = Recipe { family: self.family.to_owned(), ..recipe };
        recipe.latent_steps.default = self.latent_steps;
        recipe.latent_steps.max = recipe.latent_steps.max.max(self.latent_steps);
        recipe
    }
}

/// The tokenizer of the superposition checkpoint, which is published as code only: forty words for graphs.
pub fn graph_tokenizer(config: &Config) -> Option<String> {
    if config.vocab_size != 40 {
        return None;
    }
    let numbers = (0..=30).map(|number| number.to_string());
    let words =
        ["<|start-latent|>", "<|end-latent|>", "<|latent|>", "|", "[Q]", "[R]", "[A]", "<eos>"];
    let words = words.into_iter().map(str::to_owned).chain(["<|no-answer|>".to_owned()]);
    let vocabulary: serde_json::Map<_, _> =
        numbers.chain(words).enumerate().map(|(id, word)| (word, json!(id))).collect();
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": { "type": "WhitespaceSplit" }, "post_processor": null, "decoder": null,
        "model": { "type": "WordLevel", "vocab": vocabulary, "unk_token": "<|no-answer|>" },
    });
    Some(tokenizer.to_string())
}
