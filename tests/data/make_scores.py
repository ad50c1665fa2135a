"""Log-probabilities of continuations by teacher forcing in PyTorch, for `scores.json`.

One whole sequence at a time through Hugging Face transformers: prompt, thoughts (the last hidden state, fed back), the end
marker, the continuation; the log-probability of each of its ids from the logits at the position before it. Nothing is cached.

    pip install torch==2.15.0 transformers==4.46.2 safetensors numpy
    python3 tests/data/make_scores.py
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

HERE = Path(__file__).parent
FIXTURES = ["coconut-gpt2-hf", "coconut-llama3rope-hf-bf16", "coconut-qwen2-hf"]


@torch.no_grad()
def scores(model, case, latent, steps, continuation):
    ids = [i for i in case["prompt_ids"] if i != latent]
    embed = model.get_input_embeddings()
    x = embed(torch.tensor([ids[:-1]]))
    for _ in range(steps):
        hidden = model.base_model(inputs_embeds=x).last_hidden_state
        x = torch.cat([x, hidden[:, -1:]], dim=1)
    x = torch.cat([x, embed(torch.tensor([[ids[-1]] + continuation]))], dim=1)
    logprobs = model(inputs_embeds=x).logits[0].double().log_softmax(-1)
    places = range(x.shape[1] - len(continuation) - 1, x.shape[1] - 1)
    return [round(logprobs[at, i].item(), 6) for at, i in zip(places, continuation)]


def main():
    made = {}
    for name in FIXTURES:
        folder = HERE / name
        latent = json.loads((folder / "config.json").read_text())["latent_id"]
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder)).float().eval()
        odd = model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
        assert set(odd.missing_keys) <= {"lm_head.weight"} and not odd.unexpected_keys, odd
        model.tie_weights()
        made[name] = []
        for number, case in enumerate(json.loads((folder / "expected.json").read_text())["cases"][:2]):
            for steps in [0, 1, case["n_latent"]]:
                for continuation in [case["answer_ids"][:5], case["prompt_ids"][3:23], [7]]:
                    made[name].append({
                        "case": number,
                        "latent_steps": steps,
                        "continuation": continuation,
                        "logprobs": scores(model, case, latent, steps, continuation),
                    })
    lines = [f'"{name}": [\n' + ",\n".join(map(json.dumps, made[name])) + "\n]" for name in made]
    (HERE / "scores.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


main()
