"""Hidden states and attention weights by Hugging Face transformers, for `insides.json`.

The whole sequence goes in as `inputs_embeds`, in one pass without a cache: prompt, two thoughts (the last hidden state, fed
back), the end marker, the first greedy answer tokens. Numbers are kept of every position from the end of the prompt on.
transformers gives the last hidden state after the final norm.

    pip install torch==2.15.0 transformers==4.46.2 safetensors numpy
    python3 tests/data/make_insides.py
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

HERE = Path(__file__).parent
FIXTURES = ["coconut-gpt2-hf", "coconut-llama3rope-hf-bf16"]
THOUGHTS = 2
ANSWER = 4
LAYERS = [0, 1, 3]


def rounded(values):
    return [float(f"{x:.7g}") for x in values.tolist()]


@torch.no_grad()
def insides(model, case, latent):
    ids = [i for i in case["prompt_ids"] if i != latent]
    embed = model.get_input_embeddings()
    x = embed(torch.tensor([ids[:-1]]))
    first = x.shape[1] - 1
    for _ in range(THOUGHTS):
        hidden = model.base_model(inputs_embeds=x).last_hidden_state
        x = torch.cat([x, hidden[:, -1:]], dim=1)
    x = torch.cat([x, embed(torch.tensor([ids[-1:]]))], dim=1)
    answer = []
    for _ in range(ANSWER):
        given = model(inputs_embeds=x, output_hidden_states=True, output_attentions=True)
        answer.append(given.logits[0, -1].argmax().item())
        fed, x = x, torch.cat([x, embed(torch.tensor([answer[-1:]]))], dim=1)
    # The last token is said, and not fed.
    rows = [
        {
            "position": at,
            "hidden_states": [rounded(given.hidden_states[layer][0, at]) for layer in LAYERS],
            "attentions": [
                [rounded(head[at, : at + 1]) for head in given.attentions[layer - 1][0]]
                for layer in LAYERS
                if layer > 0
            ],
        }
        for at in range(first, fed.shape[1])
    ]
    return {"answer": answer, "layers": LAYERS, "rows": rows}


def main():
    made = {}
    for name in FIXTURES:
        folder = HERE / name
        latent = json.loads((folder / "config.json").read_text())["latent_id"]
        config = AutoConfig.from_pretrained(folder)
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
        odd = model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
        assert set(odd.missing_keys) <= {"lm_head.weight"} and not odd.unexpected_keys, odd
        model.tie_weights()
        case = json.loads((folder / "expected.json").read_text())["cases"][0]
        made[name] = insides(model, case, latent)
    lines = [f'"{name}": ' + json.dumps(made[name]) for name in made]
    (HERE / "insides.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


main()
