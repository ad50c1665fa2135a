"""What a GPU can do at most, measured with PyTorch: no implementation passes these numbers."""

import time

import torch

SIDE = 8192
BYTES = 1 << 30
REPEATS = 20


def seconds(work):
    """The least time of some runs."""
    def once():
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        return time.perf_counter() - start

    once()
    return min(once() for _ in range(REPEATS))


def peak_gflops(device, kind):
    """10^9 operations a second of one large matrix product."""
    a, b = (torch.randn(SIDE, SIDE, device=device, dtype=kind) for _ in range(2))
    return 2 * SIDE**3 / seconds(lambda: a @ b) / 1e9


def memory_gbs(device):
    """10^9 bytes a second of a large copy, which reads and writes each byte."""
    a, b = (torch.zeros(BYTES, device=device, dtype=torch.uint8) for _ in range(2))
    return 2 * BYTES / seconds(lambda: a.copy_(b)) / 1e9


def name(device):
    return f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}"
