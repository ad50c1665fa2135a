"""One batch of questions, trained on again and again: `coconut train` and PyTorch with Hugging Face transformers in turn.

Both start from the same random weights and see the same batch, six thoughts fed back with a KV cache, gradients through
all passes, AdamW; the first losses must agree. Both use all cores. The time of a step is the least over the rounds of its
mean: PyTorch's first step of each round is left out, and so is coconut's."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import torch
from tokenizers import Tokenizer
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

from common import COCONUT, knob

BATCH = knob("BATCH", 32)
STEPS = knob("STEPS", 8)
ROUNDS = knob("ROUNDS", 2)
NODES = knob("NODES", ["published", "8..12"])
LR = 1e-4
THOUGHTS = 6
SHAPE = {
    "model_type": "llama",
    "hidden_size": 256,
    "intermediate_size": 256,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
    "rope_theta": 1e8,
    "tie_word_embeddings": True,
}


def coconut(*arguments):
    subprocess.run([COCONUT, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def recipe(folder, start, steps):
    """Settings of a run whose every step is the whole file."""
    model = "\n".join(f"{field} = {json.dumps(value)}" for field, value in SHAPE.items())
    start = f'init = "{start}"' if start else f'tokenizer = "{folder}/tokenizer.json"\n[model]\n{model}'
    return f"""shards = {os.cpu_count()}
log_every = 1
save_every = 1000000
{start}
[optimizer]
lr = {LR}
[[phases]]
name = "steps"
max_steps = {steps}
[phases.objective.questions]
train = "{folder}/batch.json"
epochs = {steps}
batch_size = {BATCH}
method = {{ coconut = {{ c_thought = 1, max_latent_stage = {THOUGHTS}, stages = false }} }}
"""


def train(folder, name, start, steps):
    """Runs `coconut train`; its events."""
    config = folder / f"{name}.toml"
    config.write_text(recipe(folder, start, steps))
    out = folder / name
    shutil.rmtree(out, ignore_errors=True)
    coconut("train", "--config", config, "--out", out)
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def sequences(folder, config):
    """Ids before and after the thoughts of each question."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = lambda text: tokenizer.encode(text).ids
    for example in json.loads((folder / "batch.json").read_text()):
        before = ids(example["question"] + "\n") + [config["latent_start_id"]]
        after = [config["latent_end_id"]] + ids("### " + example["answer"]) + [config["eos_token_id"]]
        yield before, after


def loss_of(model, batch):
    """Questions, shifted so that the first thoughts share a column; one pass a thought; then the answers."""
    longest = max(len(before) for before, _ in batch)
    ids = torch.tensor([[0] * (longest - len(before)) + before for before, _ in batch])
    padding = torch.tensor([longest - len(before) for before, _ in batch])
    mask = (torch.arange(longest) >= padding[:, None]).long()
    positions = (torch.arange(longest) - padding[:, None]).clamp_min(0)
    decoder, cache = model.model, DynamicCache(config=model.config)
    inputs = decoder.embed_tokens(ids)
    for step in range(THOUGHTS):
        hidden = decoder(
            inputs_embeds=inputs, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
        ).last_hidden_state
        inputs, positions = hidden[:, -1:], positions[:, -1:] + 1
        mask = torch.cat([mask, mask[:, :1] * 0 + 1], 1)
    # The last thought goes in together with the answer. Answers have as many tokens; the marker is not predicted.
    after = torch.tensor([after for _, after in batch])
    inputs = torch.cat([inputs, decoder.embed_tokens(after)], 1)
    positions = positions + torch.arange(inputs.shape[1])
    mask = torch.cat([mask, mask.new_ones(after.shape)], 1)
    hidden = decoder(
        inputs_embeds=inputs, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
    ).last_hidden_state
    logits = model.lm_head(hidden[:, 1:-1])
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), after[:, 1:].flatten())


def torch_steps(folder, start, steps):
    """The first loss, and seconds of each step."""
    model = LlamaForCausalLM.from_pretrained(start, dtype=torch.float32)
    model.train()
    batch = list(sequences(folder, json.loads((start / "config.json").read_text())))
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.0)
    first, seconds = None, []
    for _ in range(steps):
        began = time.perf_counter()
        loss = loss_of(model, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        first = loss.item() if first is None else first
        seconds.append(time.perf_counter() - began)
    return first, seconds


def compare(folder, nodes):
    size = [] if nodes == "published" else ["--nodes", nodes]
    coconut("generate-data", "prosqa", "--count", BATCH, "--seed", 3, "--out", folder / "batch.json", *size)
    train(folder, "start", None, 1)
    start = folder / "start" / "checkpoint"
    ours, theirs, losses = [], [], None
    for _ in range(ROUNDS):
        events = train(folder, "ours", start, STEPS + 1)
        ours.append(sum(BATCH / event["examples_per_second"] for event in events[1:]) / STEPS)
        first, seconds = torch_steps(folder, start, STEPS + 1)
        theirs.append(sum(seconds[1:]) / STEPS)
        losses = (events[0]["loss"], first)
    if abs(losses[0] - losses[1]) > 1e-3:
        raise SystemExit(f"not the same step: losses {losses}")
    ours, theirs = BATCH / min(ours), BATCH / min(theirs)
    print(f"| {nodes} | {BATCH} | {theirs:.1f} | {ours:.1f} | {ours / theirs:.2f}x | {losses[0]:.4f}, {losses[1]:.4f} |", flush=True)


def main():
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads; {STEPS} steps, best of {ROUNDS} rounds\n")
    print("| nodes of a graph | batch | PyTorch f32, examples/s | coconut, examples/s | ratio | first losses |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        coconut("generate-data", "tokenizer", "prosqa", "--out", folder / "tokenizer.json")
        for nodes in NODES:
            compare(folder, nodes)


main()
