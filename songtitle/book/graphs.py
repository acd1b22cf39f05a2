"""The captioner as two ONNX graphs: from a picture to memory, and the decoder one word further.

Matrices are stored as 16-bit whole numbers with one scale for each output channel, half the size
of float32; the graphs compute in float32. The same weights give the same bytes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from songtitle.errors import InputError
from songtitle.model.captioner import Captioner
from songtitle.model.decoder import LSTMDecoder
from songtitle.model.encoder import Backbone, Projection

OPSET, IR_VERSION = 17, 8  # what runtimes of 2023 and later read
LEVELS = 32_767  # whole numbers on each side of zero


def picture_graph(backbone: Backbone, model: Captioner) -> onnx.ModelProto:
    """`picture (bins, frames)` in [0, 1] to `memory (1, dim)`.

    Raises InputError for a model of other parts than the quick run's.
    """
    encoder = model.encoder
    if type(encoder) is not Projection or not backbone.frozen or backbone.memory != "pooled":
        raise _refusal(encoder)
    graph = _Graph()
    image = graph.add("Unsqueeze", "picture", graph.constant(np.array([0, 1])))
    # Mean and deviation have three channels, so subtracting makes three of the grey one.
    image = graph.add("Sub", image, graph.constant(backbone.mean))
    image = graph.add("Div", image, graph.constant(backbone.std))
    pooled = graph.add("GlobalAveragePool", _trunk(graph, backbone.trunk, image))
    wide = graph.linear(graph.add("Flatten", pooled), encoder.linear.weight, encoder.linear.bias)
    scale, shift = _affine(encoder.norm)
    scaled = graph.add("Mul", wide, graph.constant(scale))
    graph.add("Add", scaled, graph.constant(shift), out="memory")
    return graph.model({"picture": ["bins", "frames"]}, {"memory": [1, len(scale)]})


def word_graph(model: Captioner) -> onnx.ModelProto:
    """`token (rows)`, `memory (1, dim)`, `hidden_in` and `cell_in (rows, dim)` to `logits (rows,
    vocab)`, `hidden` and `cell`: one word further for each row.

    The token -1 stands for the picture itself, which enters a step before `<bos>`; `memory` is
    read for it alone. (One graph, since it holds the LSTM's weights.)
    """
    decoder = model.decoder
    if not isinstance(decoder, LSTMDecoder) or decoder.lstm.num_layers != 1:
        raise _refusal(decoder)
    if not isinstance(decoder.embed, nn.Embedding):
        raise _refusal(decoder.embed)
    graph = _Graph()
    word = graph.add("Gather", graph.stored(decoder.embed.weight), "token")  # -1: the last one's
    is_picture = graph.add("Less", "token", graph.constant(np.array(0, np.int32)))
    is_picture = graph.add("Unsqueeze", is_picture, graph.constant(np.array([1])))
    x = graph.add("Where", is_picture, "memory", word)
    hidden = _lstm(graph, decoder.lstm, x, "hidden_in", "cell_in")
    graph.linear(hidden, decoder.output.weight, decoder.output.bias, out="logits")
    dim = decoder.lstm.hidden_size
    state: list[Any] = ["rows", dim]
    words = ["rows", len(decoder.output.weight)]
    inputs = {"token": state[:1], "memory": [1, dim], "hidden_in": state, "cell_in": state}
    return graph.model(inputs, {"logits": words, "hidden": state, "cell": state})


def _refusal(part: object) -> InputError:
    return InputError(
        "demo: expected the quick run's captioner, a frozen EfficientNet-Lite and an LSTM of one "
        f"layer, got a part of type {type(part).__name__}; export a quick run"
    )


class _Graph:
    """Nodes and stored tensors, named by number in the order in which they are added."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str, out: str | None = None, **settings: Any) -> str:
        """One node; the name of its output."""
        out = out or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [out], **settings))
        return out

    def constant(self, value: Tensor | np.ndarray) -> str:
        """A tensor as it is."""
        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
        name = f"t{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def stored(self, weight: Tensor) -> str:
        """A weight in 16-bit whole numbers, the largest of each output channel 32,767."""
        whole, scale = sixteen_bits(weight)
        number = self.add("Cast", self.constant(whole), to=TensorProto.FLOAT)
        return self.add("Mul", number, self.constant(scale))

    def linear(self, x: str, weight: Tensor, bias: Tensor | None, *, out: str | None = None) -> str:
        """`x @ weight.T + bias`."""
        terms = [x, self.stored(weight), *([] if bias is None else [self.constant(bias)])]
        return self.add("Gemm", *terms, out=out, transB=1)

    def model(
        self, inputs: Mapping[str, list[Any]], outputs: Mapping[str, list[Any]]
    ) -> onnx.ModelProto:
        """The whole, checked; inputs and outputs are of these shapes, all but tokens of float32."""

        def described(each: Mapping[str, list[Any]]) -> list[onnx.ValueInfoProto]:
            whole = {"token": TensorProto.INT32}
            kinds = {name: whole.get(name, TensorProto.FLOAT) for name in each}
            return [helper.make_tensor_value_info(n, kinds[n], shape) for n, shape in each.items()]

        there = described(inputs), described(outputs)
        graph = helper.make_graph(self.nodes, "songtitle", *there, self.tensors)
        opsets = [helper.make_opsetid("", OPSET)]
        found = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        onnx.checker.check_model(found)
        return found


def sixteen_bits(weight: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """A weight as whole numbers and the scale of each output channel: `whole * scale` is near."""
    values = weight.detach().cpu().float().numpy()
    largest = np.abs(values.reshape(len(values), -1)).max(axis=1)
    scale = np.maximum(largest, np.finfo(np.float32).tiny) / np.float32(LEVELS)
    scale = scale.reshape(-1, *[1] * (values.ndim - 1))
    return np.rint(values / scale).clip(-LEVELS, LEVELS).astype(np.int16), scale


def _trunk(graph: _Graph, trunk: nn.Module, x: str) -> str:
    """A frozen EfficientNet-Lite: convolutions with their normalisation folded in, in order."""
    for name, child in trunk.named_children():
        if name == "blocks":
            for block in (each for stage in child.children() for each in stage.children()):
                y = _chain(graph, block.children(), x)
                x = graph.add("Add", y, x) if getattr(block, "has_skip", False) else y
        elif name not in ("global_pool", "classifier"):
            x = _chain(graph, [child], x)
    return x


def _chain(graph: _Graph, layers: Any, x: str) -> str:
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            x = _convolution(graph, layer, x)
        elif isinstance(layer, nn.ReLU6):
            ends = (graph.constant(np.array(end, np.float32)) for end in (0, 6))
            x = graph.add("Clip", x, *ends)
        elif not isinstance(layer, nn.Identity):
            raise _refusal(layer)
    return x


def _convolution(graph: _Graph, layer: nn.Conv2d, x: str) -> str:
    settings: dict[str, Any] = {
        "kernel_shape": list(layer.kernel_size),
        "strides": list(layer.stride),
        "group": layer.groups,
    }
    if type(layer) is nn.Conv2d:
        rows, columns = (int(side) for side in layer.padding)
        settings["pads"] = [rows, columns, rows, columns]
    else:  # timm's Conv2dSame, after TensorFlow: as much as is needed, the odd one at the end
        settings["auto_pad"] = "SAME_UPPER"
    terms: Sequence[str] = [x, graph.stored(layer.weight)]
    if layer.bias is not None:
        terms = [*terms, graph.constant(layer.bias)]
    return graph.add("Conv", *terms, **settings)


def _affine(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """What batch normalisation does at test time: `x * scale + shift`."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return scale, norm.bias - norm.running_mean * scale


def _lstm(graph: _Graph, lstm: nn.LSTM, x: str, hidden: str, cell: str) -> str:
    """One step of the LSTM; its outputs are `hidden` and `cell`."""
    seen = graph.linear(x, lstm.weight_ih_l0, lstm.bias_ih_l0)  # type: ignore[arg-type]
    kept = graph.linear(hidden, lstm.weight_hh_l0, lstm.bias_hh_l0)  # type: ignore[arg-type]
    gates = graph.add("Add", seen, kept)
    size = lstm.hidden_size
    axis = graph.constant(np.array([1]))

    def gate(number: int, kind: str) -> str:  # in torch's order: input, forget, cell, output
        ends = (graph.constant(np.array([size * (number + i)])) for i in (0, 1))
        return graph.add(kind, graph.add("Slice", gates, *ends, axis))

    forgotten = graph.add("Mul", gate(1, "Sigmoid"), cell)
    added = graph.add("Mul", gate(0, "Sigmoid"), gate(2, "Tanh"))
    graph.add("Add", forgotten, added, out="cell")
    return graph.add("Mul", gate(3, "Sigmoid"), graph.add("Tanh", "cell"), out="hidden")
