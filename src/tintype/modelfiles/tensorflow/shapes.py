"""Shapes of tensors, inferred as far as labels need it: ranks and channel counts.

Heights and widths behind windows (convolutions, poolings) are left open; what is not known has
shape None. Rules: the shape functions in tensorflow/core/ops/{nn,math,array,image}_ops.cc.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from tintype.modelfiles.tensorflow.constants import PASSING, Constants
from tintype.modelfiles.tensorflow.flow import FlatNode, Flow, Ref
from tintype.types import Shape

_SAME = PASSING | {
    "Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Gelu", "Softplus", "Sigmoid", "Tanh", "Softmax",
    "LogSoftmax", "Cast", "Neg", "Sqrt", "Rsqrt", "Square", "Exp", "Log", "Abs", "Floor", "Round",
    "BiasAdd", "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3", "ReverseV2", "LRN",
    "FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxArgs", "ClipByValue",
}  # fmt: skip
_BROADCAST = {
    "Add", "AddV2", "Sub", "Mul", "RealDiv", "Div", "Maximum", "Minimum", "Pow",
}  # fmt: skip
_WINDOWS = {"Conv2D", "DepthwiseConv2dNative", "MaxPool", "AvgPool", "MaxPoolV2"}
_RESIZES = {
    "ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic", "ResizeArea", "ScaleAndTranslate",
}  # fmt: skip

Shapes = Mapping[Ref, Shape]


@dataclass(frozen=True, slots=True)
class _Context:
    constants: Constants
    known: dict[Ref, Shape]

    def of(self, node: FlatNode, index: int) -> Shape | None:
        if index >= len(node.inputs):
            return None
        ref = self.constants.flow.resolve(node.inputs[index])
        return self.known[ref] if ref in self.known else self.constants.shape(ref)

    def numbers(self, node: FlatNode, index: int) -> list[int] | None:
        if index >= len(node.inputs):
            return None
        value = self.constants.value(node.inputs[index])
        if value is None or value.dtype.kind not in "iu" or value.size > 32:
            return None
        return [int(number) for number in value.ravel()]


def infer_shapes(
    constants: Constants, among: Mapping[str, FlatNode], given: Mapping[Ref, Shape]
) -> Shapes:
    """Shapes of the first outputs of the nodes ``among``, starting from ``given`` inputs."""
    context = _Context(constants, dict(given))
    for node in in_order(constants.flow, among):
        ref = (node.name, 0)
        if ref not in context.known:
            shape = _shape(context, node)
            if shape is not None:
                context.known[ref] = shape
    return context.known


def in_order(flow: Flow, among: Mapping[str, FlatNode]) -> Iterable[FlatNode]:
    """The nodes ``among``, each after what it depends on; those in a loop never come."""
    waiting: dict[str, int] = {}
    users: dict[str, list[str]] = {}
    for node in among.values():
        makers = {flow.resolve(ref)[0] for ref in node.inputs} & among.keys()
        waiting[node.name] = len(makers)
        for maker in makers:
            users.setdefault(maker, []).append(node.name)
    ready = deque(name for name, count in waiting.items() if count == 0)
    while ready:
        name = ready.popleft()
        yield among[name]
        for user in users.get(name, ()):
            waiting[user] -= 1
            if waiting[user] == 0:
                ready.append(user)


def _shape(context: _Context, node: FlatNode) -> Shape | None:
    if node.op in {"Placeholder", "Const"}:
        return (
            node.node.shape()
            if node.op == "Placeholder"
            else context.constants.shape((node.name, 0))
        )
    if node.op in _SAME:
        return context.of(node, 0) or (
            node.node.shape() if node.op == "PlaceholderWithDefault" else None
        )
    if node.op in _BROADCAST:
        return _broadcast(context.of(node, 0), context.of(node, 1))
    rule = _RULES.get(node.op)
    return rule(context, node) if rule else None


def _broadcast(first: Shape | None, second: Shape | None) -> Shape | None:
    if first is None or second is None:
        return None
    longer, shorter = (first, second) if len(first) >= len(second) else (second, first)
    padded = (1,) * (len(longer) - len(shorter)) + tuple(shorter)
    return tuple(
        left if right == 1 else right if left in {1, None} else left
        for left, right in zip(longer, padded, strict=True)
    )


def _window(context: _Context, node: FlatNode) -> Shape | None:
    source, kernel = context.of(node, 0), context.of(node, 1)
    channels: int | None = None
    planar = node.node.text("data_format") == "NCHW"
    if node.op in {"Conv2D", "DepthwiseConv2dNative"}:
        if kernel is not None and len(kernel) == 4:
            many = node.op == "DepthwiseConv2dNative"
            channels = kernel[3] if not many else _times(kernel[2], kernel[3])
    elif source is not None and len(source) == 4:
        channels = source[1 if planar else 3]
    batch = source[0] if source else None
    return (batch, channels, None, None) if planar else (batch, None, None, channels)


def _times(first: int | None, second: int | None) -> int | None:
    return None if first is None or second is None else first * second


def _matmul(context: _Context, node: FlatNode) -> Shape | None:
    left, right = context.of(node, 0), context.of(node, 1)
    if right is None or len(right) != 2:
        return None
    width = right[0] if node.node.flag("transpose_b") else right[1]
    return (left[0] if left and len(left) == 2 else None, width)


def _reduce(context: _Context, node: FlatNode) -> Shape | None:
    source, axes = context.of(node, 0), context.numbers(node, 1)
    if source is None or axes is None:
        return None
    gone = {axis % len(source) for axis in axes} if source else set()
    if node.node.flag("keep_dims"):
        return tuple(1 if axis in gone else side for axis, side in enumerate(source))
    return tuple(side for axis, side in enumerate(source) if axis not in gone)


def _reshape(context: _Context, node: FlatNode) -> Shape | None:
    target = context.numbers(node, 1)
    if target is None:
        target = _packed(context, context.constants.flow.maker(node.inputs[1]))
    if target is None:
        return None
    return tuple(side if side > 0 else None for side in target)


def _packed(context: _Context, node: FlatNode | None) -> list[int] | None:
    """A shape put together at run time: ``Pack(StridedSlice(Shape(x)), 10)`` is ``[-1, 10]``."""
    if node is None or node.op != "Pack" or len(node.inputs) > 8:
        return None
    sides = [context.constants.value(ref) for ref in node.inputs]
    return [-1 if side is None or side.size != 1 else int(side.ravel()[0]) for side in sides]


def _squeeze(context: _Context, node: FlatNode) -> Shape | None:
    source = context.of(node, 0)
    axes = node.node.numbers("squeeze_dims")
    if source is None:
        return None
    if not axes:
        return tuple(side for side in source if side != 1) if None not in source else None
    gone = {axis % len(source) for axis in axes} if source else set()
    return tuple(side for axis, side in enumerate(source) if axis not in gone)


def _expand(context: _Context, node: FlatNode) -> Shape | None:
    source, axes = context.of(node, 0), context.numbers(node, 1)
    if source is None or not axes:
        return None
    at = axes[0] % (len(source) + 1)
    return (*source[:at], 1, *source[at:])


def _resize(context: _Context, node: FlatNode) -> Shape | None:
    source, size = context.of(node, 0), context.numbers(node, 1)
    if source is None or len(source) != 4:
        return None
    height, width = size if size is not None and len(size) == 2 else (None, None)
    return (source[0], height, width, source[3])


def _transpose(context: _Context, node: FlatNode) -> Shape | None:
    source, order = context.of(node, 0), context.numbers(node, 1)
    if source is None or order is None or sorted(order) != list(range(len(source))):
        return None
    return tuple(source[axis] for axis in order)


def _pad(context: _Context, node: FlatNode) -> Shape | None:
    source = context.of(node, 0)
    added = context.numbers(node, 1)
    if source is None or added is None or len(added) != 2 * len(source):
        return None
    return tuple(
        None if side is None else side + added[2 * axis] + added[2 * axis + 1]
        for axis, side in enumerate(source)
    )


def _concat(context: _Context, node: FlatNode) -> Shape | None:
    axes = context.numbers(node, len(node.inputs) - 1)
    parts = [context.of(node, index) for index in range(len(node.inputs) - 1)]
    first = parts[0] if parts else None
    if first is None or not axes or any(part is None or len(part) != len(first) for part in parts):
        return None
    at = axes[0] % len(first) if first else 0
    lengths = [part[at] for part in parts if part is not None]
    total = None if None in lengths else sum(length or 0 for length in lengths)
    return (*first[:at], total, *first[at + 1 :])


def _fill(context: _Context, node: FlatNode) -> Shape | None:
    sides = context.numbers(node, 0)
    return None if sides is None else tuple(max(side, 0) for side in sides)


def _decoded(_context: _Context, node: FlatNode) -> Shape | None:
    return (None, None, node.node.number("channels") or None)


_RULES: dict[str, Callable[[_Context, FlatNode], Shape | None]] = {
    **dict.fromkeys(_WINDOWS, _window),
    **dict.fromkeys(_RESIZES, _resize),
    **dict.fromkeys(("Mean", "Max", "Min", "Sum", "Prod"), _reduce),
    **dict.fromkeys(("Pad", "PadV2", "MirrorPad"), _pad),
    **dict.fromkeys(("DecodeJpeg", "DecodePng", "DecodeBmp", "DecodeImage"), _decoded),
    "Fill": _fill,
    "MatMul": _matmul,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "ExpandDims": _expand,
    "Transpose": _transpose,
    "ConcatV2": _concat,
}
