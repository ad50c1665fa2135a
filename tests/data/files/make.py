#!/usr/bin/env python3
"""Files as torch and NumPy write them, for the tests of what a file is: a torch file of each form, elements of each type.

    pip install torch numpy safetensors
    python make.py            # writes beside itself
"""
import pathlib

import numpy
import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).resolve().parent
NUMBERS = [[1.0, -2.0, 3.0], [-4.0, 5.0, 6.0]]
TYPES = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8"]

tensors = {name: torch.tensor(NUMBERS).to(getattr(torch, name)) for name in TYPES}
torch.save(tensors, HERE / "types.bin")
torch.save({"float32": tensors["float32"]}, HERE / "legacy.bin", _use_new_zipfile_serialization=False)
save_file(tensors, HERE / "types.safetensors")
numpy.savez(HERE / "array.npz", float32=tensors["float32"].numpy())
print(torch.__version__, numpy.__version__)
