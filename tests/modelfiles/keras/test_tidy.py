"""The tidied graph has fewer operations and the same answers; onnx' own evaluator is the judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from tintype.modelfiles.keras.onnx_wire import Node, OnnxGraph, Port, encode_model
from tintype.modelfiles.keras.tidy import tidy

onnx = pytest.importorskip("onnx")
reference = pytest.importorskip("onnx.reference")
random = np.random.default_rng(5)


def numbers(*shape: int, low: float = -1, high: float = 1) -> np.ndarray:
    return random.uniform(low, high, shape).astype(np.float32)


def node(op: str, inputs: str, output: str, **attributes: Any) -> Node:
    names = tuple(inputs.split())
    return Node(op=op, name=output, inputs=names, outputs=(output,), attributes=attributes)


def graph(
    nodes: Sequence[Node],
    constants: Mapping[str, Any] | None = None,
    *,
    shape: tuple[int | None, ...] = (None, 3, 8, 6),
    outputs: Mapping[str, tuple[int | None, ...]],
) -> OnnxGraph:
    return OnnxGraph(
        name="test",
        nodes=nodes,
        constants={key: np.asarray(value) for key, value in (constants or {}).items()},
        inputs=[Port(name="x", dtype="float32", shape=shape)],
        outputs=[Port(name=key, dtype="float32", shape=value) for key, value in outputs.items()],
    )


def answers(untidy: OnnxGraph, *, low: float = -1) -> list[np.ndarray]:
    model = onnx.load_from_string(encode_model(untidy, producer="test"))
    onnx.checker.check_model(model, full_check=True)
    sizes = [length or 2 for length in untidy.inputs[0].shape]
    batch = np.random.default_rng(1).uniform(low, 1, sizes).astype(np.float32)
    return list(reference.ReferenceEvaluator(model).run(None, {"x": batch}))


def tidied(untidy: OnnxGraph, shapes: Mapping[str, Any] | None = None) -> list[str]:
    """The operations that are left; the answers must be the same."""
    result = tidy(untidy, shapes or {})
    for expected, actual in zip(answers(untidy), answers(result), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=2e-6, atol=2e-6)
    return [each.op for each in result.nodes]


def batch_norm(channels: int) -> dict[str, np.ndarray]:
    return {
        "gamma": numbers(channels),
        "beta": numbers(channels),
        "mean": numbers(channels),
        "variance": numbers(channels, low=0.1),
    }


CONV = node("Conv", "x kernel", "conv", kernel_shape=(3, 3))
NORM = node("BatchNormalization", "conv gamma beta mean variance", "norm", epsilon=1e-3)


def test_batch_normalisation_goes_into_the_convolution():
    """One operation is left, named after the convolution, making the normalisation's tensor."""
    untidy = graph(
        [CONV, NORM],
        {"kernel": numbers(5, 3, 3, 3), **batch_norm(5)},
        outputs={"norm": (None, 5, 6, 4)},
    )
    assert ["Conv"] == tidied(untidy)
    (left,) = tidy(untidy, {}).nodes
    assert ("conv", ("norm",)) == (left.name, left.outputs)


def test_it_stays_where_the_convolution_has_another_reader():
    """The unnormalised numbers are wanted too."""
    untidy = graph(
        [CONV, NORM, node("Add", "conv norm", "sum")],
        {"kernel": numbers(5, 3, 3, 3), **batch_norm(5)},
        outputs={"sum": (None, 5, 6, 4)},
    )
    assert ["Conv", "BatchNormalization", "Add"] == tidied(untidy)


def test_it_stays_where_the_convolution_is_an_answer():
    """An output of the graph keeps its numbers and its name."""
    shape = (None, 5, 6, 4)
    untidy = graph(
        [CONV, NORM],
        {"kernel": numbers(5, 3, 3, 3), **batch_norm(5)},
        outputs={"norm": shape, "conv": shape},
    )
    assert ["Conv", "BatchNormalization"] == tidied(untidy)


def test_it_stays_where_the_kernel_is_shared():
    """A layer called twice keeps its kernel once."""
    again = node("Conv", "norm kernel", "again", kernel_shape=(3, 3))
    untidy = graph(
        [CONV, NORM, again],
        {"kernel": numbers(3, 3, 3, 3), **batch_norm(3)},
        outputs={"again": (None, 3, 4, 2)},
    )
    assert ["Conv", "BatchNormalization", "Conv"] == tidied(untidy)


@pytest.mark.parametrize("scale", [1e-39, 1e39])
def test_it_stays_where_float32_cannot_hold_the_product(scale: float):
    """A weight that would lose its digits, or become infinite."""
    parts = {**batch_norm(5), "gamma": np.full(5, min(scale, 3e38), np.float32)}
    kernel = numbers(5, 3, 3, 3) * np.float32(1 if scale < 1 else 1e3)
    untidy = graph([CONV, NORM], {"kernel": kernel, **parts}, outputs={"norm": (None, 5, 6, 4)})
    assert ["Conv", "BatchNormalization"] == [each.op for each in tidy(untidy, {}).nodes]


@pytest.mark.parametrize("op", ["Mul", "Div", "Add", "Sub"])
@pytest.mark.parametrize("shape", [(), (1,), (4,), (1, 4)])
def test_arithmetic_goes_into_a_dense(op: str, shape: tuple[int, ...]):
    """A factor or an offset, for all or one a class."""
    untidy = graph(
        [node("Gemm", "x kernel bias", "dense"), node(op, "dense number", "y")],
        {"kernel": numbers(7, 4), "bias": numbers(4), "number": numbers(*shape, low=0.5)},
        shape=(None, 7),
        outputs={"y": (None, 4)},
    )
    assert ["Gemm"] == tidied(untidy)


@pytest.mark.parametrize("shape", [(5,), (4, 1, 1, 1), (1, 1, 6, 4), (1, 5, 6, 4)])
def test_arithmetic_that_is_no_factor_a_channel_stays(shape: tuple[int, ...]):
    """Along a width, along the batch, for each place."""
    kernel = numbers(5, 3, 2, 2) if shape == (5,) else numbers(5, 3, 3, 3)
    place = (7, 5) if shape == (5,) else (6, 4)
    conv = node("Conv", "x kernel", "conv", kernel_shape=kernel.shape[2:])
    batch = 4 if shape[0] == 4 else None
    untidy = graph(
        [conv, node("Mul", "conv number", "y")],
        {"kernel": kernel, "number": numbers(*shape)},
        shape=(batch, 3, 8, 6),
        outputs={"y": (batch, 5, *place)},
    )
    assert ["Conv", "Mul"] == tidied(untidy)


def test_a_number_divided_by_a_convolution_stays():
    """The constant on the left of a division or subtraction is another thing."""
    untidy = graph(
        [node("Gemm", "x kernel", "dense"), node("Sub", "number dense", "y")],
        {"kernel": numbers(7, 4), "number": numbers(4)},
        shape=(None, 7),
        outputs={"y": (None, 4)},
    )
    assert ["Gemm", "Sub"] == tidied(untidy)


def test_a_transposed_convolution_takes_its_normalisation():
    """Its kernel has the outputs on the second axis."""
    conv = node("ConvTranspose", "x kernel", "conv", kernel_shape=(2, 2), strides=(2, 2))
    untidy = graph(
        [conv, NORM],
        {"kernel": numbers(3, 5, 2, 2), **batch_norm(5)},
        outputs={"norm": (None, 5, 16, 12)},
    )
    assert ["ConvTranspose"] == tidied(untidy)


def test_transposes_in_a_row_are_one_or_none():
    """There and back is nothing; there and elsewhere is one."""
    there = node("Transpose", "x", "there", perm=(0, 2, 3, 1))
    back = node("Transpose", "there", "back", perm=(0, 3, 1, 2))
    on = node("Transpose", "there", "on", perm=(0, 2, 3, 1))
    shape = (None, 3, 8, 6)
    untidy = graph([there, back, node("Relu", "back", "y")], outputs={"y": shape})
    assert ["Relu"] == tidied(untidy)
    assert ["Transpose"] == tidied(graph([there, on], outputs={"on": (None, 6, 3, 8)}))


def test_reshapes_in_a_row_are_one():
    """Only the last target counts."""
    nodes = [node("Reshape", "x one", "a"), node("Reshape", "a two", "b")]
    targets = {"one": np.array([0, -1]), "two": np.array([0, 12, 12])}
    assert ["Reshape"] == tidied(graph(nodes, targets, outputs={"b": (None, 12, 12)}))


def test_a_reshape_whose_zero_means_another_axis_stays():
    """Zero copies an axis of the reshape before."""
    nodes = [node("Reshape", "x one", "a"), node("Reshape", "a two", "b")]
    targets = {"one": np.array([0, 24, 6]), "two": np.array([0, 0, 3, 2])}
    assert ["Reshape"] * 2 == tidied(graph(nodes, targets, outputs={"b": (None, 24, 3, 2)}))


def test_a_reshape_that_copies_an_axis_made_before_stays():
    """The first reshape moved pictures and rows together."""
    nodes = [node("Reshape", "x one", "a"), node("Reshape", "a two", "b")]
    targets = {"one": np.array([-1, 24]), "two": np.array([0, 12, 2])}
    untidy = graph(nodes, targets, shape=(2, 3, 8, 6), outputs={"b": (12, 12, 2)})
    assert ["Reshape"] * 2 == tidied(untidy)


def test_zeros_around_become_the_convolutions_padding():
    """Its own padding is added to."""
    pad = node("Pad", "x margins", "pad")
    conv = node("Conv", "pad kernel", "conv", kernel_shape=(3, 3), pads=(1, 0, 0, 0))
    untidy = graph(
        [pad, conv],
        {"kernel": numbers(5, 3, 3, 3), "margins": np.array([0, 0, 1, 2, 0, 0, 0, 1])},
        outputs={"conv": (None, 5, 8, 7)},
    )
    assert ["Conv"] == tidied(untidy)
    assert (2, 2, 0, 1) == tidy(untidy, {}).nodes[0].attributes["pads"]


@pytest.mark.parametrize("margins", [[0, 1, 1, 1, 0, 0, 1, 1], [0, 0, -1, 0, 0, 0, 0, 0]])
def test_channels_put_around_and_pictures_cut_stay(margins: list[int]):
    """No convolution pads its channels, or by less than nothing."""
    channels, rows, columns = (a + b for a, b in zip(margins[1:4], margins[5:], strict=True))
    shape = (None, 5, 6 + rows, 4 + columns)
    conv = node("Conv", "pad kernel", "conv", kernel_shape=(3, 3))
    untidy = graph(
        [node("Pad", "x margins", "pad"), conv],
        {"kernel": numbers(5, 3 + channels, 3, 3), "margins": np.array(margins)},
        outputs={"conv": shape},
    )
    assert ["Pad", "Conv"] == [each.op for each in tidy(untidy, {}).nodes]


def test_a_dense_behind_a_flatten_takes_another_order_of_rows():
    """So that nothing has to be moved; the kernel pays once."""
    nodes = [
        node("Transpose", "x", "moved", perm=(0, 2, 3, 1)),
        node("Reshape", "moved flat", "row"),
        node("Gemm", "row kernel", "y"),
    ]
    constants = {"flat": np.array([0, 144]), "kernel": numbers(144, 4)}
    untidy = graph(nodes, constants, outputs={"y": (None, 4)})
    assert ["Reshape", "Gemm"] == tidied(untidy, {"x": (None, 3, 8, 6)})
    assert ["Transpose", "Reshape", "Gemm"] == tidied(untidy, {"x": (None, 3, None, 6)})


def test_constants_are_worked_out():
    """Arithmetic on constants alone is done while the graph is written."""
    nodes = [
        node("Sqrt", "variance", "deviation"),
        node("Div", "mean deviation", "shift"),
        node("Add", "x shift", "y"),
    ]
    constants = {"mean": numbers(3, 1, 1), "variance": numbers(3, 1, 1, low=0.1)}
    assert ["Add"] == tidied(graph(nodes, constants, outputs={"y": (None, 3, 8, 6)}))


def test_constants_that_would_grow_are_left():
    """A small file must not become a large one."""
    nodes = [node("Mul", "rows columns", "table"), node("Mul", "x table", "y")]
    constants = {"rows": numbers(300, 1), "columns": numbers(1, 300)}
    untidy = graph(nodes, constants, shape=(None, 1, 1), outputs={"y": (None, 300, 300)})
    assert ["Mul", "Mul"] == tidied(untidy)


def test_idle_operations_and_dead_branches_go():
    """What hands its tensor on, and what nothing reads."""
    nodes = [
        node("Identity", "x", "same"),
        node("Exp", "same", "unread"),
        node("Dropout", "same", "kept"),
        node("Relu", "kept", "y"),
    ]
    assert ["Relu"] == tidied(graph(nodes, outputs={"y": (None, 3, 8, 6)}))


def test_readers_behind_an_identity_count():
    """A convolution read twice, once through an identity, keeps its own numbers."""
    nodes = [CONV, node("Identity", "conv", "same"),
             node("BatchNormalization", "same gamma beta mean variance", "norm"),
             node("Add", "same norm", "y")]  # fmt: skip
    constants = {"kernel": numbers(5, 3, 3, 3), **batch_norm(5)}
    untidy = graph(nodes, constants, outputs={"y": (None, 5, 6, 4)})
    assert ["Conv", "BatchNormalization", "Add"] == tidied(untidy)
