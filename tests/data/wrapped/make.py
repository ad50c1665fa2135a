"""Writes the fixtures of this folder: what real wrappers make of the names of one small model, and real envelopes.
See README.md. The model is `../peft/base-gpt2` inside the paper's class."""

import json
import sys
from pathlib import Path

import lightning
import torch
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import apply_activation_checkpointing, checkpoint_wrapper
from torch.distributed.fsdp import FullyShardedDataParallel as FSDP
from torch.distributed.fsdp import StateDictType
from torch.distributed.fsdp.wrap import ModuleWrapPolicy
from torch.nn.parallel import DistributedDataParallel as DDP
from transformers import GPT2LMHeadModel
from transformers.models.gpt2.modeling_gpt2 import GPT2Block

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "peft"))
from make import Coconut, tokenizer  # noqa: E402


def model():
    return Coconut(GPT2LMHeadModel.from_pretrained(HERE.parent / "peft/base-gpt2"))


def checkpointed(made):
    apply_activation_checkpointing(made, checkpoint_wrapper_fn=checkpoint_wrapper, check_fn=lambda module: isinstance(module, GPT2Block))
    return made


def compiled_blocks(made):
    blocks = made.base_causallm.transformer.h
    for index, block in enumerate(blocks):
        blocks[index] = torch.compile(block)
    return made


def sharded(made):
    return FSDP(made, auto_wrap_policy=ModuleWrapPolicy({GPT2Block}), use_orig_params=True, device_id=torch.device("cpu"))


def own_names(made):
    """`named_parameters` of the module, which shows what `state_dict` takes out again."""
    return [name for name, _ in torch.nn.Module.named_parameters(made, remove_duplicate=False)]


class Lit(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.save_hyperparameters({"lr": 0.1, "name": "x"})
        self.model = model()
        self.register_buffer("seen", torch.zeros(1))

    def training_step(self, batch, index):
        return self.model.base_causallm(input_ids=batch, labels=batch).loss

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.0)
        return {"optimizer": optimizer, "lr_scheduler": torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 3])}


def envelope(name, saved):
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    torch.save(saved, folder / "checkpoint_1")
    print(name, (folder / "checkpoint_1").stat().st_size)


def main():
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    names = {
        "plain": own_names(model()),
        "checkpoint_wrapper": own_names(checkpointed(model())),
        "compile": own_names(torch.compile(model())),
        "compile blocks": own_names(compiled_blocks(model())),
        "ddp": list(DDP(model()).state_dict()),
        "ddp, compile, checkpoint_wrapper": own_names(DDP(torch.compile(checkpointed(model())))),
        "compile, ddp": own_names(torch.compile(DDP(compiled_blocks(model())))),
        "data parallel": own_names(torch.nn.DataParallel(model())),
        "fsdp": own_names(sharded(model())),
        "fsdp, checkpoint_wrapper": own_names(checkpointed(sharded(model()))),
        "checkpoint_wrapper, fsdp": own_names(sharded(checkpointed(model()))),
    }
    flat = FSDP(model(), auto_wrap_policy=ModuleWrapPolicy({GPT2Block}), device_id=torch.device("cpu"))
    parameters = set(names["plain"])
    for wrapped in list(names):
        print(wrapped, len(names[wrapped]), names[wrapped][4:6])
    names["flat"] = [name for name, _ in torch.nn.Module.named_parameters(flat)]
    (HERE / "names.json").write_text(json.dumps(names, indent=0) + "\n")

    lit = Lit()
    trainer = lightning.Trainer(max_steps=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False, default_root_dir=HERE)
    trainer.fit(lit, torch.utils.data.DataLoader(torch.arange(8).reshape(2, 4), batch_size=1))
    (HERE / "lightning").mkdir(exist_ok=True)
    trainer.save_checkpoint(HERE / "lightning/checkpoint_1")
    saved = torch.load(HERE / "lightning/checkpoint_1", weights_only=False)
    print({key: type(value) for key, value in saved.items()}, list(saved["state_dict"])[:3])
    print((HERE / "lightning/checkpoint_1").stat().st_size)
    # What loops write by hand. The state is first, and holds tensors with names too.
    made = model()
    optimizer = torch.optim.SGD(made.parameters(), lr=0.1)
    state = {"optimizer": optimizer.state_dict(), "rng": torch.get_rng_state()[:8], "best": torch.tensor(0.5), "epoch": 3}
    envelope("model_state_dict", {**state, "model_state_dict": made.state_dict()})
    # The keys of DeepSpeed's mp_rank_00_model_states.pt.
    envelope("deepspeed", {
        "module": made.state_dict(), "buffer_names": [], "optimizer": None,
        "param_shapes": [{name: parameter.shape for name, parameter in made.named_parameters()}],
        "frozen_param_shapes": None, "shared_params": {}, "lr_scheduler": {"last_epoch": 3}, "data_sampler": None,
        "random_ltd": None, "sparse_tensor_module_names": set(), "skipped_steps": 0, "global_steps": 3,
        "dp_world_size": 1, "mp_world_size": 1, "ds_config": {"train_batch_size": 1, "zero_optimization": {"stage": 1}}, "ds_version": "0.16.0",
    })


if __name__ == "__main__":
    main()
