"""Tiny models as `save_pretrained` of the installed transformers writes them, with what that transformers computes.

    python make.py FOLDER

writes a folder for each model into FOLDER: config.json, generation_config.json, model.safetensors, and expected.json with
the logits of a forward pass in float32 on the CPU. `llama3` gets a tokenizer too, and every file states other ends of an
answer. Each config is first written as published (the fields of a base model's config.json, sizes shrunk), loaded by
AutoConfig, and saved with the model; expected.json keeps what was published.
"""

import json
import pathlib
import sys
import tempfile

import tokenizers
import torch
import transformers

IDS = [[1, 5, 9, 2, 7, 11, 3, 30, 12], [31, 0, 17]]

# The sizes that all share, by the names of Llama and by those of GPT-2.
SIZES = {
    "vocab_size": 32,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "hidden_act": "silu",
    "initializer_range": 0.3,
}

GPT2 = {
    "architectures": ["GPT2LMHeadModel"],
    "model_type": "gpt2",
    "activation_function": "gelu_new",
    "attn_pdrop": 0.1,
    "bos_token_id": 31,
    "embd_pdrop": 0.1,
    "eos_token_id": 31,
    "initializer_range": 0.3,
    "layer_norm_epsilon": 1e-05,
    "n_ctx": 64,
    "n_embd": 16,
    "n_head": 4,
    "n_layer": 2,
    "n_positions": 64,
    "resid_pdrop": 0.1,
    "summary_activation": None,
    "summary_first_dropout": 0.1,
    "summary_proj_to_labels": True,
    "summary_type": "cls_index",
    "summary_use_proj": True,
    "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
    "vocab_size": 32,
}

LLAMA3 = SIZES | {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 28,
    "eos_token_id": [29, 30, 31],
    "head_dim": 4,
    "mlp_bias": False,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-05,
    "rope_scaling": {
        "factor": 8.0,
        "high_freq_factor": 4.0,
        "low_freq_factor": 1.0,
        "original_max_position_embeddings": 16,
        "rope_type": "llama3",
    },
    "rope_theta": 500000.0,
    "tie_word_embeddings": True,
    "torch_dtype": "float32",
    "use_cache": True,
}

# As published before there was `rope_type`, with a scaling of that time.
LLAMA_LINEAR = SIZES | {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "rms_norm_eps": 1e-06,
    "rope_scaling": {"type": "linear", "factor": 2.0},
    "tie_word_embeddings": False,
    "use_cache": True,
}

# Stretches nothing within the model's positions.
LLAMA_DYNAMIC = LLAMA_LINEAR | {"rope_scaling": {"type": "dynamic", "factor": 2.0}}

QWEN2 = SIZES | {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "attention_dropout": 0.0,
    "bos_token_id": 30,
    "eos_token_id": 31,
    "max_window_layers": 1,
    "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0,
    "sliding_window": 64,
    "tie_word_embeddings": True,
    "torch_dtype": "float32",
    "use_cache": True,
    "use_sliding_window": False,
}

QWEN3 = SIZES | {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 30,
    "eos_token_id": 31,
    "head_dim": 8,
    "max_window_layers": 2,
    "rms_norm_eps": 1e-06,
    "rope_scaling": None,
    "rope_theta": 1000000,
    "sliding_window": None,
    "tie_word_embeddings": True,
    "torch_dtype": "float32",
    "use_cache": True,
    "use_sliding_window": False,
}

MODELS = {
    "gpt2": GPT2,
    "gpt2-common-names": {
        **{name: GPT2[name] for name in ["model_type", "vocab_size", "initializer_range", "eos_token_id"]},
        **{name: SIZES[name] for name in ["hidden_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings"]},
        "n_embd": 8,
        "n_layer": 1,
        "n_inner": 40,
    },
    "llama3": LLAMA3,
    "llama-linear": LLAMA_LINEAR,
    "llama-dynamic": LLAMA_DYNAMIC,
    "qwen2": QWEN2,
    "qwen3": QWEN3,
}


def make(folder: pathlib.Path, published: dict) -> None:
    with tempfile.TemporaryDirectory() as base:
        pathlib.Path(base, "config.json").write_text(json.dumps(published))
        config = transformers.AutoConfig.from_pretrained(base)
    config._name_or_path = ""
    torch.manual_seed(11)
    model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            # Biases and the scales of norms begin as zeros and ones, which would hide that one is left out.
            if parameter.dim() == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
        logits = [model(input_ids=torch.tensor([ids])).logits[0, -1].tolist() for ids in IDS]
    if folder.name == "llama3":
        # The tokenizer's end is 27, config.json has 29 to 31.
        model.generation_config.eos_token_id = [26, 29]
        tokenizer().save_pretrained(folder)
    model.save_pretrained(folder)
    cases = [{"ids": ids, "logits": [round(x, 6) for x in row]} for ids, row in zip(IDS, logits)]
    expected = {"transformers": transformers.__version__, "published": published, "cases": cases}
    pathlib.Path(folder, "expected.json").write_text(json.dumps(expected) + "\n")


def tokenizer() -> transformers.PreTrainedTokenizerFast:
    words = {f"w{i}": i for i in range(26)}
    special = ["<|other|>", "<|end|>", "<|begin|>", "<|end_of_text|>", "<|eom|>", "<|eot|>"]
    words |= {word: 26 + i for i, word in enumerate(special)}
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="w0"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    end = transformers.AddedToken("<|end|>", special=True, normalized=False)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=words, bos_token="<|begin|>", eos_token=end)


for name, published in MODELS.items():
    if published["model_type"] not in transformers.models.auto.configuration_auto.CONFIG_MAPPING_NAMES:
        print(f"transformers {transformers.__version__} has no {published['model_type']}")
        continue
    make(pathlib.Path(sys.argv[1], name), published)
