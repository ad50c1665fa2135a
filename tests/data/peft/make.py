"""Writes the fixtures of this folder with the packages that write such files elsewhere. See README.md.

Names and files are peft's own; the numbers in expected.json are those of peft's own model, thought by thought.
"""

import json
import math
import shutil
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

HERE = Path(__file__).parent
WORDS, EOS, START, END, LATENT = 59, 59, 60, 61, 62
ROWS = 63
QUESTIONS = [("w3 w17 w8 w40", 3), ("w1 w2 w3 w4 w5 w6 w7 w8 w9 w10 w11 w12 w13 w14 w15 w16 w17 w18 w19", 2), ("w58", 0)]
MAX_TOKENS = 12


def tokenizer(more=(), markers=True):
    vocabulary = {f"w{i}": i for i in range(WORDS)} | {"<eos>": EOS}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="w0"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if markers:
        made.add_tokens(["<|start-latent|>", "<|end-latent|>", "<|latent|>", *more])
    return made


def noise(model, scale=0.25, only=lambda name: True):
    """Large random numbers: what is left out or scaled wrongly must show."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if only(name):
                centre = 1.0 if "ln_" in name or "norm" in name else 0.0
                parameter.copy_(torch.randn_like(parameter) * (0.1 if centre else scale) + centre)


def gpt2():
    torch.manual_seed(1)
    config = GPT2Config(vocab_size=ROWS, n_positions=64, n_embd=16, n_layer=2, n_head=2, bos_token_id=EOS, eos_token_id=EOS)
    model = GPT2LMHeadModel(config).eval()
    noise(model)
    return model


def llama():
    torch.manual_seed(2)
    config = LlamaConfig(
        vocab_size=ROWS, max_position_embeddings=64, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, bos_token_id=EOS, eos_token_id=EOS, tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config).eval()
    noise(model)
    return model


@torch.no_grad()
def coconut(model, question, thoughts, start=START, end=END, latent=LATENT, thought=lambda hidden: hidden, masked=None):
    """Question, start, thoughts, end, answer: the whole sequence again for every step, as in the paper's code."""
    prompt = [int(word[1:]) for word in question.split()] + [start]
    embed = model.get_input_embeddings()
    x = embed(torch.tensor([prompt]))

    def step(x):
        out = model(inputs_embeds=x, attention_mask=torch.ones(x.shape[:2]), output_hidden_states=True)
        return out.hidden_states[-1][0, -1], out.logits[0, -1]

    latents = []
    for _ in range(thoughts):
        hidden, _ = step(x)
        latents.append(thought(hidden))
        x = torch.cat([x, latents[-1][None, None]], 1)
    x = torch.cat([x, embed(torch.tensor([[end]]))], 1)
    first, answer = None, []
    while len(answer) < MAX_TOKENS:
        _, logits = step(x)
        first = logits if first is None else first
        if masked is not None:
            logits = logits.index_fill(0, torch.tensor(masked), -math.inf)
        if logits.argmax() == EOS:
            break
        answer.append(int(logits.argmax()))
        x = torch.cat([x, embed(torch.tensor([[answer[-1]]]))], 1)
    rounded = lambda vector: [round(float(v), 6) for v in vector]
    return {
        "question": question, "prompt_ids": prompt + [latent] * thoughts + [end], "n_latent": thoughts,
        "latents": [rounded(v) for v in latents], "first_logits": rounded(first), "answer_ids": answer,
    }


def expected(folder, model, **family):
    cases = [coconut(model, *question, **family) for question in QUESTIONS]
    (folder / "expected.json").write_text(json.dumps({"cases": cases}) + "\n")
    return cases


def distance(one, other):
    pairs = zip(one[0]["first_logits"], other[0]["first_logits"])
    return max(abs(a - b) for a, b in pairs)


def base(name, make):
    folder = HERE / name
    model = make()
    model.save_pretrained(folder)
    tokenizer().save(str(folder / "tokenizer.json"))
    return expected(folder, model)


def adapted(make, adapter="default", resize=None, **config):
    torch.manual_seed(3)
    model = make()
    model.config._name_or_path = ""
    if resize:
        model.resize_token_embeddings(resize, mean_resizing=False)
        noise(model, only=lambda name: any(part in name for part in ("embed", "wte", "lm_head")))
    config.setdefault("lora_alpha", 12)
    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **config), adapter_name=adapter).eval()
    trained = lambda name: any(mark in name for mark in ("lora_", "modules_to_save", "trainable_tokens_delta"))
    noise(model, only=trained)
    if config.get("bias", "none") != "none":
        noise(model, only=lambda name: name.endswith(".bias"))
    return model


def adapter(name, make, plain, more=(), save=None, old=False, **config):
    """What `save_pretrained` leaves: adapter_config.json and the adapter alone."""
    folder = HERE / name
    model = adapted(make, **config)
    model.save_pretrained(folder, **(save or {}))
    inner = folder / config.get("adapter", "default")
    if inner.is_dir():
        for file in inner.iterdir():
            file.rename(folder / file.name)
        inner.rmdir()
    (folder / "README.md").unlink(missing_ok=True)
    if old:
        # Until 0.17 PEFT could write torch files too.
        (folder / "adapter_model.safetensors").unlink()
        torch.save(get_peft_model_state_dict(model, adapter_name=model.active_adapter), folder / "adapter_model.bin")
    if more:
        tokenizer(more).save(str(folder / "tokenizer.json"))
    cases = expected(folder, model)
    if len(cases[0]["first_logits"]) == len(plain[0]["first_logits"]):
        assert distance(cases, plain) > 0.05, name
    print(name, sorted(file.name for file in folder.iterdir()))
    return model


class Coconut(torch.nn.Module):
    """The members of the paper's class that a state dict shows."""

    def __init__(self, base_causallm):
        super().__init__()
        self.base_causallm = base_causallm
        self.embedding = base_causallm.get_input_embeddings()


class Codi(torch.nn.Module):
    """The members of the CODI code's class that a state dict shows, with its option --prj_no_ln."""

    def __init__(self, codi, projected):
        super().__init__()
        self.codi = codi
        layers = [torch.nn.Dropout(0.0), torch.nn.Linear(16, 24), torch.nn.GELU(), torch.nn.Linear(24, 16)]
        if projected:
            self.prj = torch.nn.Sequential(*layers)


def codi(name, projected):
    """CODI: rows pad, bot and eot behind the base model's, here with two more rows behind them; alpha a quarter of r."""
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    inner = adapted(llama, r=4, lora_alpha=1, target_modules=["q_proj", "v_proj", "up_proj"], resize=65)
    model = Codi(inner, projected).eval()
    if projected:
        noise(model, 0.5, only=lambda name: name.startswith("prj"))
    base_config = inner.get_base_model().config
    base_config.vocab_size = 60
    base_config.save_pretrained(folder)
    tokenizer(markers=False).save(str(folder / "tokenizer.json"))
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    # Nothing is assumed of pairs of another rank than the published ones have.
    (folder / "adapter_config.json").write_text('{"lora_alpha": 1}\n')
    base_config.vocab_size = 65
    # pad is 60; the thought after bot goes through the projector too; eot is never chosen.
    thought = model.prj if projected else lambda hidden: hidden
    expected(folder, inner, start=61, end=62, latent=60, thought=thought, masked=62)
    print(name, sorted(file.name for file in folder.iterdir()))


def live(name, make, file, wrap=lambda model: model, **config):
    """What `torch.save(model.state_dict())` leaves, with adapter_config.json copied beside."""
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    model = adapted(make, **config)
    model.peft_config[model.active_adapter].save_pretrained(folder)
    model.get_base_model().config.save_pretrained(folder)
    tokenizer().save(str(folder / "tokenizer.json"))
    torch.save(wrap(model).state_dict(), folder / file)
    (folder / "generation_config.json").unlink(missing_ok=True)
    expected(folder, model)
    print(name, sorted(file.name for file in folder.iterdir()))


def main():
    for folder in HERE.iterdir():
        if folder.is_dir():
            shutil.rmtree(folder)
    of_gpt2, of_llama = base("base-gpt2", gpt2), base("base-llama", llama)
    adapter("gpt2-all-linear", gpt2, of_gpt2, r=2, target_modules="all-linear", fan_in_fan_out=True)
    adapter("gpt2-bias", gpt2, of_gpt2, r=2, target_modules=["c_attn"], bias="all", fan_in_fan_out=True)
    adapter("gpt2-embedding", gpt2, of_gpt2, r=2, target_modules=["wte", "c_fc"])
    adapter("gpt2-modules-to-save", gpt2, of_gpt2, r=2, target_modules=["c_proj"], modules_to_save=["wte"])
    adapter("gpt2-tied-pairs", gpt2, of_gpt2, r=2, target_modules=["c_proj", "lm_head"], ensure_weight_tying=True)
    adapter("gpt2-tied-copies", gpt2, of_gpt2, r=2, target_modules=["c_proj"], modules_to_save=["wte", "lm_head"], ensure_weight_tying=True)
    adapter("gpt2-head", gpt2, of_gpt2, r=2, target_modules=["lm_head"])
    adapter("llama-rslora", llama, of_llama, r=4, target_modules=["q_proj", "down_proj"], use_rslora=True, old=True)
    adapter(
        "llama-patterns", llama, of_llama, r=2, target_modules=r".*\.(self_attn|mlp)\.(k|o|up)_proj",
        rank_pattern={r"layers\.0\.self_attn\.k_proj": 3, "up_proj": 4},
        # The first that fits counts, in the order of the file: not the alphabet's.
        alpha_pattern={r"layers\.1\..*up_proj": 20, "up_proj": 2, r"[ko]_proj": 5, "k_proj": 50},
    )
    adapter(
        "llama-resized", llama, of_llama, more=("x1", "x2", "x3"), adapter="student", resize=66, r=2,
        target_modules=["v_proj", "o_proj"], modules_to_save=["embed_tokens", "lm_head"],
    )
    adapter(
        "llama-saved-embeddings", llama, of_llama, more=("x1", "x2", "x3"), resize=66, r=2,
        target_modules=["gate_proj"], save={"save_embedding_layers": True},
    )
    adapter(
        "gpt2-saved-embeddings", gpt2, of_gpt2, more=("x1", "x2", "x3"), resize=66, r=2, target_modules=["c_attn"],
        save={"save_embedding_layers": True},
    )
    # As PEFT does by itself where the base model's config.json, which these models have not, names fewer rows.
    twice = {"save_embedding_layers": True}
    adapter(
        "gpt2-resized-copies", gpt2, of_gpt2, more=("x1", "x2", "x3"), resize=66, r=2, target_modules=["c_attn"],
        modules_to_save=["wte", "lm_head"], save=twice,
    )
    adapter(
        "llama-resized-copies", llama, of_llama, more=("x1", "x2", "x3"), resize=66, r=2, target_modules=["q_proj"],
        modules_to_save=["embed_tokens", "lm_head"], save=twice,
    )
    adapter("llama-tokens", llama, of_llama, r=2, target_modules=["q_proj"], trainable_token_indices=[START, END, 7])
    adapter("gpt2-tokens", gpt2, of_gpt2, r=2, target_modules=["c_attn"], trainable_token_indices=[START, END, 7])
    live("live-gpt2", gpt2, "pytorch_model.bin", adapter="student", r=2, target_modules=["wte", "c_attn", "c_fc"])
    live("live-tied-pairs-gpt2", gpt2, "pytorch_model.bin", r=2, target_modules=["lm_head"], ensure_weight_tying=True)
    live(
        "live-coconut-llama", llama, "checkpoint_3", wrap=Coconut, adapter="stage_2", r=2,
        target_modules=["q_proj", "up_proj"], modules_to_save=["embed_tokens", "lm_head"],
    )
    live("live-tokens-gpt2", gpt2, "pytorch_model.bin", r=2, target_modules=["c_attn"], trainable_token_indices={"wte": [START, END, 7]})
    codi("codi-no-norm", projected=True)
    codi("codi-no-projector", projected=False)


if __name__ == "__main__":
    main()
