"""Our readers of TensorFlow's formats against TensorFlow's own writers."""

from __future__ import annotations

import numpy as np
import pytest

from tintype.modelfiles.tensorflow.bundle import read_bundle
from tintype.modelfiles.tensorflow.graphdef import read_graph
from tintype.wire.protobuf import encode_varint, fields, read_varint, view
from tintype.wire.tensors import read_tensor, strings, to_array

tf = pytest.importorskip("tensorflow", reason="the reference framework is not installed")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

DTYPES = [
    "float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16",
    "uint32", "uint64", "bool",
]  # fmt: skip


def array_of(proto):
    tensor = read_tensor(memoryview(proto.SerializeToString()), where="test")
    return to_array(tensor, max_elements=1000)


@pytest.mark.parametrize("dtype", DTYPES)
def test_tensor_with_content(dtype):
    """Values written out, as bytes or (uint16) in a list."""
    values = np.arange(-6, 6).reshape(3, 4).astype(dtype)
    proto = tf.make_tensor_proto(values)
    np.testing.assert_array_equal(values, array_of(proto))
    assert array_of(proto).dtype == values.dtype


@pytest.mark.parametrize("dtype", DTYPES)
def test_tensor_with_one_repeated_value(dtype):
    """One value stands for all; TensorFlow's own reader agrees."""
    values = np.full((2, 3), -1 if np.dtype(dtype).kind in "if" else 1, dtype)
    proto = tf.make_tensor_proto(values[0, 0], shape=[2, 3])
    assert not proto.tensor_content
    np.testing.assert_array_equal(tf.make_ndarray(proto), array_of(proto))


def test_tensor_with_last_value_repeated():
    """A list shorter than the shape is filled with its last value."""
    proto = tf.make_tensor_proto(np.float32(1), shape=[5])
    proto.float_val[:] = [1.0, 2.0, 3.0]
    assert [1, 2, 3, 3, 3] == array_of(proto).tolist()


def test_bfloat16_comes_as_float32():
    """Which holds every bfloat16 exactly."""
    proto = tf.make_tensor_proto(tf.constant([1.5, -2.0, 0.25], tf.bfloat16).numpy())
    assert [1.5, -2, 0.25] == array_of(proto).tolist()


def test_strings():
    """Names of checkpoint entries are a string tensor."""
    proto = tf.make_tensor_proto([b"one", b"two"])
    assert (b"one", b"two") == strings(memoryview(proto.SerializeToString()))


def test_more_elements_than_wanted_are_not_made():
    """The limit holds before anything is allocated."""
    proto = tf.make_tensor_proto(np.float32(1), shape=[1 << 20, 1 << 20])
    tensor = read_tensor(memoryview(proto.SerializeToString()), where="test")
    assert to_array(tensor, max_elements=1000) is None
    assert tensor.declared_bytes == 1 << 42


def test_content_is_not_copied():
    """Large constants stay where they are in the file."""
    proto = tf.make_tensor_proto(np.arange(100, dtype=np.float32))
    content = np.frombuffer(proto.SerializeToString(), np.uint8)
    array = to_array(read_tensor(view(memoryview(content)), where="test"), max_elements=100)
    assert np.shares_memory(content, array)


def test_attributes_of_nodes():
    """Every kind of attribute comes out as TensorFlow put it in."""
    graph = tf.Graph()
    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.uint8, [None, 4, None, 3], name="x")
        y = tf.nn.max_pool2d(tf.cast(x, tf.float32), [1, 2, 2, 1], [1, 3, 3, 1], "SAME", name="y")
        tf.nn.leaky_relu(tf.squeeze(y, [0]), 0.25, name="z")
    read = read_graph(memoryview(graph.as_graph_def().SerializeToString()))
    nodes = {node.name: node for node in read.nodes}
    assert nodes["x"].shape() == (None, 4, None, 3)
    assert nodes["x"].dtype() == "uint8"
    assert nodes["y"].numbers("strides") == (1, 3, 3, 1)
    assert nodes["y"].text("padding") == "SAME"
    assert nodes["z"].real("alpha") == 0.25
    assert nodes["y"].flag("absent") is None
    assert read.producer == graph.as_graph_def().versions.producer


def test_functions_of_graphs():
    """Arguments, results and called functions are named as in the library."""

    @tf.function(input_signature=[tf.TensorSpec([2], tf.float32, name="x")])
    def outer(x):
        return tf.while_loop(lambda i: tf.reduce_sum(i) < 10.0, lambda i: i + 1.0, [x])

    definition = outer.get_concrete_function().graph.as_graph_def()
    read = read_graph(memoryview(definition.SerializeToString()))
    loop = next(node for node in read.nodes if "While" in node.op)
    body = read.library.get(loop.function("body"))
    expected = next(f for f in definition.library.function if f.signature.name == body.name)
    assert body.arguments == tuple(each.name for each in expected.signature.input_arg)
    assert body.results == dict(expected.ret)
    assert set(loop.functions()) == {loop.function("body"), loop.function("cond")}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Three hundred variables, so that the index has several blocks and shared prefixes."""
    prefix = tmp_path_factory.mktemp("checkpoint") / "variables"
    rng = np.random.default_rng(3)
    names = [f"network/block_{at:03d}/convolution/kernel" for at in range(300)]
    values = {name: rng.normal(size=(2, 3)).astype(np.float32) for name in names}
    values["step"] = np.int64(7)
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(values),
        shape_and_slices=[""] * len(values),
        tensors=[tf.constant(value) for value in values.values()],
    )
    return prefix, values


def test_bundle_equals_tensorflows(checkpoint):
    """Every variable comes out of the table and the data file as it went in."""
    prefix, values = checkpoint
    bundle = read_bundle(prefix, max_bytes=1 << 30)
    assert set(values) == set(bundle.entries)
    for name, value in values.items():
        np.testing.assert_array_equal(value, bundle.read(name, max_bytes=1 << 20))


def test_bundle_gives_nothing_for_unknown_or_large(checkpoint):
    """Absent variables and those above the limit are None."""
    bundle = read_bundle(checkpoint[0], max_bytes=1 << 30)
    assert bundle.read("absent", max_bytes=1 << 20) is None
    assert bundle.read("network/block_000/convolution/kernel", max_bytes=8) is None


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 2**32, 2**63, 2**64 - 1])
def test_varints_there_and_back(number):
    """What is written is read."""
    assert (number, len(encode_varint(number))) == read_varint(memoryview(encode_varint(number)), 0)


def test_fields_of_a_message():
    """Field numbers and values agree with TensorFlow's serialisation."""
    proto = tf.make_tensor_proto(np.float32(2), shape=[3])
    found = dict(fields(memoryview(proto.SerializeToString())))
    assert 1 == found[1]
    assert np.float32(2).tobytes() == bytes(found[5])
