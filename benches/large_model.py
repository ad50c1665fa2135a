#!/usr/bin/env python3
"""A Llama of 1.2 billion random weights in bf16 (2.4 GB), of the sizes of Llama 3.2 1B, to measure how long loading takes.

    python3 benches/large_model.py FOLDER        # needs nothing but Python; FOLDER lies outside the checkout

`benches/load.py` measures with it.
"""
import json
import pathlib
import random
import struct
import sys

WIDTH, LAYERS, INNER, HEADS, KV_HEADS, HEAD, ROWS = 2048, 16, 8192, 32, 8, 64, 128256
WORDS = ["<eos>"] + [str(number) for number in range(100)]


def shapes():
    yield "model.embed_tokens.weight", [ROWS, WIDTH]
    for layer in range(LAYERS):
        name = f"model.layers.{layer}."
        yield name + "input_layernorm.weight", [WIDTH]
        yield name + "self_attn.q_proj.weight", [HEADS * HEAD, WIDTH]
        yield name + "self_attn.k_proj.weight", [KV_HEADS * HEAD, WIDTH]
        yield name + "self_attn.v_proj.weight", [KV_HEADS * HEAD, WIDTH]
        yield name + "self_attn.o_proj.weight", [WIDTH, HEADS * HEAD]
        yield name + "post_attention_layernorm.weight", [WIDTH]
        yield name + "mlp.gate_proj.weight", [INNER, WIDTH]
        yield name + "mlp.up_proj.weight", [INNER, WIDTH]
        yield name + "mlp.down_proj.weight", [WIDTH, INNER]
    yield "model.norm.weight", [WIDTH]


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shapes():
        start, size = end, 2
        for length in shape:
            size *= length
        end = start + size
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    # Any 16 bits with these upper halves are numbers between 0.008 and 0.03 in size.
    upper = bytes((0x3C, 0xBC)[byte & 1] for byte in range(256))
    numbers = random.Random(0)
    piece = bytearray(numbers.randbytes(16 << 20))
    piece[1::2] = piece[1::2].translate(upper)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        left = end
        while left:
            left -= file.write(piece[: min(left, len(piece))])
    config = {
        "model_type": "llama", "vocab_size": ROWS, "hidden_size": WIDTH, "intermediate_size": INNER,
        "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "head_dim": HEAD,
        "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "hidden_act": "silu",
        "tie_word_embeddings": True, "attention_bias": False, "torch_dtype": "bfloat16", "eos_token_id": 0,
    }
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": None, "decoder": None,
        "model": {"type": "WordLevel", "vocab": {word: id for id, word in enumerate(WORDS)}, "unk_token": "<eos>"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


main(pathlib.Path(sys.argv[1]))
