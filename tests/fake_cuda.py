"""A GPU without a GPU: PyTorch's fake tensors, which know their shape, type and device alone.

They raise where tensors of two devices meet. What the host asks of a tensor on the device, for
which a real GPU has to finish all that is queued, is noted by place and answered from a script.
"""

import sys
from collections import Counter, defaultdict
from contextlib import contextmanager

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
GPU = torch.device("cuda", 0)


class HostReads(TorchDispatchMode):
    """Counts what the host reads of the device, by the songtitle function that asks.

    A number read is `number`, a truth `truth`; of `nonzero`, every entry is one. What else depends
    on values, such as a mask for an index, FakeTensorMode refuses.
    """

    def __init__(self, number=1, truth=False):
        super().__init__()
        self.places, self.number, self.truth = Counter(), number, truth

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if torch.is_inference_mode_enabled() and func.namespace == "aten":
            # There, what is made of other operators comes whole.
            with self:
                found = func.decompose(*args, **kwargs)
            if found is not NotImplemented:
                return found
        if func is aten._local_scalar_dense.default:
            return self.told(args[0])
        if func is aten.nonzero.default:
            self.note(args[0])
            return args[0].new_empty((args[0].numel(), args[0].dim()), dtype=torch.long)
        if func is aten._to_copy.default and _is_cpu(kwargs.get("device")):
            self.note(args[0])
        if func is aten.copy_.default and args[0].device.type == "cpu":
            self.note(args[1])
        return func(*args, **kwargs)

    def note(self, tensor):
        """One read of this tensor, if it lies on the device."""
        if tensor.device != GPU:
            return
        frame = sys._getframe()
        while frame and not frame.f_globals.get("__name__", "").startswith("songtitle."):
            frame = frame.f_back
        place = f"{frame.f_globals['__name__']}.{frame.f_code.co_qualname}" if frame else "no place"
        self.places[place.replace(".<locals>", "")] += 1

    def told(self, tensor):
        """The number, or the list of numbers, that the host hears."""
        self.note(tensor)
        answer = self.truth if tensor.dtype == torch.bool else self.number
        for size in reversed(tensor.shape):
            answer = [answer] * size
        return answer


def _is_cpu(device):
    return device is not None and torch.device(device).type == "cpu"


@contextmanager
def fake_cuda(monkeypatch, **answers):
    """Within it every tensor is a fake one, and "cuda" a device; gives the `HostReads`."""
    reads = HostReads(**answers)
    # `Module.to` swaps the contents of fake parameters, which the weak references that fake tensors
    # hold forbid; and copies of a module are to stay within the one mode.
    monkeypatch.setattr(nn.Module, "_apply", _apply)
    monkeypatch.setattr(FakeTensorMode, "__deepcopy__", lambda mode, memo: mode, raising=False)
    # It would move an LSTM's weights, which have no place, into one block as cuDNN likes it.
    monkeypatch.setattr(nn.RNNBase, "flatten_parameters", lambda module: None)
    # Autocast looks for a real GPU, and the engine of autograd for its streams.
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    monkeypatch.setattr(torch.Tensor, "backward", _backward)
    monkeypatch.setattr(FakeTensor, "tolist", lambda tensor: reads.told(tensor))
    with FakeTensorMode(), torch.backends.cudnn.flags(enabled=False), reads:
        yield reads


def _apply(module, move, recurse=True):
    for child in module.children():
        child._apply(move)
    for name, value in list(module._parameters.items()):
        if value is not None:
            setattr(module, name, nn.Parameter(move(value.detach()), value.requires_grad))
    for name, value in module._buffers.items():
        module._buffers[name] = value if value is None else move(value)
    return module


@torch.no_grad()
def _backward(loss):
    """Walk the graph in Python, each node after all that use what it made."""
    uses, seen = Counter(), {loss.grad_fn}
    stack = [loss.grad_fn]
    while stack:
        for after, _ in stack.pop().next_functions:
            uses[after] += 1
            if after is not None and after not in seen:
                seen.add(after)
                stack.append(after)
    due = defaultdict(dict, {loss.grad_fn: {0: torch.ones_like(loss)}})
    ready = [loss.grad_fn]
    while ready:
        node = ready.pop()
        known = due.pop(node, {})
        told = [_as(known.get(i), each) for i, each in enumerate(node._input_metadata)]
        if hasattr(node, "variable"):
            own = node.variable
            if told[0] is not None:
                own.grad = told[0] if own.grad is None else own.grad + told[0]
            continue
        found = node(*told) if known else [None] * len(node.next_functions)
        found = found if isinstance(found, tuple | list) else (found,)
        for (after, place), gradient in zip(node.next_functions, found, strict=True):
            if after is None:
                continue
            if gradient is not None:
                before = due[after].get(place)
                due[after][place] = gradient if before is None else before + gradient
            uses[after] -= 1
            if not uses[after]:
                ready.append(after)


def _as(gradient, about):
    """A gradient in the shape and type of what it is of, as the engine gives it."""
    if gradient is None:
        return None
    assert gradient.device == about.device, (gradient.device, about.device)
    return gradient.sum_to_size(about.shape).to(about.dtype)
