"""The loader of TensorFlow graphs: cut, chosen ends, batch sizes, errors. Graphs by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tintype.engines.openvino_tensorflow import read_tensorflow
from tintype.errors import ModelFileDamaged, UnsupportedModel
from tintype.types import Format, Graph, HeldInput, TensorSpec
from tintype.wire.protobuf import encode

openvino = pytest.importorskip("openvino", reason="the default engine is not installed")


def shape_of(*sides):
    return b"".join(encode(2, encode(1, side & (2**64 - 1))) for side in sides)


def attr(key, value):
    return encode(5, encode(1, key) + encode(2, value))


def operation(name, op, *inputs, attrs=b""):
    out = encode(1, name) + encode(2, op) + b"".join(encode(3, each) for each in inputs)
    return encode(1, out + attrs)


FLOAT = encode(6, 1)
T = attr(b"T", FLOAT)


def placeholder(name, *sides):
    return operation(
        name,
        b"Placeholder",
        attrs=attr(b"dtype", FLOAT) + attr(b"shape", encode(7, shape_of(*sides))),
    )


def constant(name, value, dtype=1):
    array = np.asarray(value)
    tensor = encode(1, dtype) + encode(2, shape_of(*array.shape)) + encode(4, array.tobytes())
    attrs = attr(b"dtype", encode(6, dtype)) + attr(b"value", encode(8, tensor))
    return operation(name, b"Const", attrs=attrs)


def doubling(batch=-1, start=b""):
    """``input`` -> ``doubled`` = 2 input -> ``squared``; ``start`` are nodes ahead of it."""
    nodes = start or placeholder(b"input", batch, 4)
    nodes += constant(b"two", np.float32(2))
    nodes += operation(b"doubled", b"Mul", b"input", b"two", attrs=T)
    return nodes + operation(b"squared", b"Square", b"doubled", attrs=T)


@pytest.fixture
def core():
    return openvino.Core()


@pytest.fixture
def load(core, tmp_path):
    def load_graph(nodes, feed, *read, shape=(None, 4), held=()):
        path = tmp_path / "graph.pb"
        path.write_bytes(nodes)
        graph = Graph(
            format=Format.TF_FROZEN_GRAPH,
            source=path,
            input=TensorSpec(name=feed, shape=shape),
            outputs=tuple(TensorSpec(name=name, shape=shape) for name in read),
            held=held,
        )
        return read_tensorflow(core, graph)

    return load_graph


def answers(core, model, batch):
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled(batch)
    return [found[at].tolist() for at in range(len(model.outputs))]


ROWS = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.float32)


def test_whole_graph(core, load):
    """From the placeholder to the end."""
    model = load(doubling(), "input:0", "squared:0")
    assert [((2 * ROWS) ** 2).tolist()] == answers(core, model, ROWS)


def test_graph_is_cut_in_the_middle(core, load):
    """Fed at ``doubled``, what makes it is not run."""
    model = load(doubling(), "doubled:0", "squared:0")
    assert [(ROWS**2).tolist()] == answers(core, model, ROWS)


def test_operations_ahead_of_the_cut_need_no_translator(core, load):
    """A decoder, which OpenVINO does not have, may stay in the file."""
    start = operation(b"contents", b"Placeholder", attrs=attr(b"dtype", encode(6, 7)))
    start += operation(b"input", b"DecodeJpeg", b"contents")
    model = load(doubling(start=start), "doubled:0", "squared:0")
    assert [(ROWS**2).tolist()] == answers(core, model, ROWS)


def test_outputs_keep_their_order(core, load):
    """Outputs come back as asked for, whatever their names."""
    for order in (("squared:0", "doubled:0"), ("doubled:0", "squared:0")):
        model = load(doubling(), "input:0", *order)
        found = dict(zip(order, answers(core, model, ROWS), strict=True))
        assert {"doubled:0": (2 * ROWS).tolist(), "squared:0": (4 * ROWS**2).tolist()} == found


def test_names_are_kept(load):
    """Ends carry the names of their specs, so that they can be found."""
    model = load(doubling(), "input", "squared:0")
    assert "input" in model.input(0).get_names()
    assert "squared:0" in model.output(0).get_names()


def test_fixed_batch_is_freed(load):
    """A batch of one in the file does not bind."""
    model = load(doubling(batch=1), "input:0", "squared:0", shape=(1, 4))
    assert model.input(0).partial_shape[0].is_dynamic
    assert model.output(0).partial_shape[0].is_dynamic


def test_batch_that_the_graph_needs_is_kept(load):
    """A sum over the batch has one row whatever comes in: the file's batch size stays."""
    nodes = doubling(batch=1) + constant(b"axis", np.array([0], np.int32), dtype=3)
    keep = attr(b"keep_dims", encode(5, 1)) + attr(b"Tidx", encode(6, 3))
    nodes += operation(b"summed", b"Sum", b"squared", b"axis", attrs=T + keep)
    model = load(nodes, "input:0", "summed:0", shape=(1, 4))
    assert 1 == model.input(0).partial_shape[0].get_length()


def test_further_input_is_held(core, load):
    """``Graph.held`` gives the other inputs their values."""
    nodes = doubling() + placeholder(b"keep_prob")
    nodes += operation(b"scaled", b"Mul", b"squared", b"keep_prob", attrs=T)
    held = (HeldInput(name="keep_prob:0", value=0.5),)
    model = load(nodes, "input:0", "scaled:0", held=held)
    assert 1 == len(model.inputs)
    assert [(2 * ROWS**2).tolist()] == answers(core, model, ROWS)


@pytest.mark.parametrize(("feed", "read"), [("gone:0", "squared:0"), ("input:0", "gone:0")])
def test_absent_tensor_is_told(load, feed, read):
    """A name that is not in the file is named in the error."""
    with pytest.raises(ModelFileDamaged, match="gone:0"):
        load(doubling(), feed, read)


def test_operation_without_translator_is_named(load):
    """What OpenVINO lacks is said in one line."""
    nodes = doubling() + operation(b"odd", b"CombinedNonMaxSuppression", b"squared", attrs=T)
    with pytest.raises(UnsupportedModel, match="no translator for CombinedNonMaxSuppression"):
        load(nodes, "input:0", "odd:0")


def test_outputs_that_are_constants_are_told(load):
    """OpenVINO leaves them out, and which of the others is which would be a guess."""
    nodes = doubling() + constant(b"fixed", np.array([1, 2], np.float32), dtype=1)
    with pytest.raises(UnsupportedModel, match="1 of the 2 outputs"):
        load(nodes, "input:0", "squared:0", "fixed:0")


def test_other_bytes_are_refused(load):
    """What is no graph at all raises nothing of OpenVINO's."""
    with pytest.raises(UnsupportedModel):
        load(b"\x00\x01nonsense", "input:0", "squared:0")
