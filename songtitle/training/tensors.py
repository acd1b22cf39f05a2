"""Tensors: those of a model and its optimiser by name, as a checkpoint keeps them."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from songtitle.errors import InputError


def plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies on the CPU: safetensors refuses two names for one memory (tied weights)."""
    return {
        name: value.detach().to("cpu", copy=True).contiguous() for name, value in tensors.items()
    }


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state by parameter, such as `decoder.output.weight.exp_avg`."""
    names = _trained(model)
    return {
        f"{names[index]}.{key}": value
        for index, state in optimizer.state_dict()["state"].items()
        for key, value in state.items()
    }


def fill_optimizer(
    tensors: Mapping[str, Tensor], model: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """The inverse of `optimizer_tensors`."""
    numbers = {name: index for index, name in enumerate(_trained(model))}
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        parameter, key = name.rsplit(".", 1)
        if parameter not in numbers:
            msg = f"optimizer: the checkpoint trained {parameter}, which is frozen here; train it"
            raise InputError(msg)
        state.setdefault(numbers[parameter], {})[key] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def check_fit(path: Path, tensors: Mapping[str, Tensor], model: nn.Module) -> None:
    """Raise InputError naming the first tensors of a checkpoint that are not the model's."""
    there = {name: tuple(value.shape) for name, value in tensors.items()}
    here = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    wrong = [name for name in [*here, *(there.keys() - here)] if there.get(name) != here.get(name)]
    if not wrong:
        return
    shown = ", ".join(
        f"{name} {there.get(name, 'missing')} for {here.get(name, 'nothing')}" for name in wrong[:3]
    )
    more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    msg = (
        f"{path}: a checkpoint of another vocabulary or architecture: it has {shown}{more}; "
        "take another folder, or build the model that it was made with"
    )
    raise InputError(msg)


def _trained(model: nn.Module) -> list[str]:
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]
