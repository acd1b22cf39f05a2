"""Devices: the one a name stands for, on the machine at hand."""

import torch

from songtitle.errors import InputError


def check_device(name: str) -> torch.device:
    """The torch device a name stands for; `auto` is the first of cuda, mps and cpu at hand."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        msg = f"device: expected auto, cpu, cuda or mps as this machine has them, got {name!r}"
        raise InputError(msg) from error
    return device
