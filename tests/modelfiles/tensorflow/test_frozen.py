"""Frozen graphs written by hand: what is found by structure, without any framework."""

from __future__ import annotations

import numpy as np
import pytest

from tintype.errors import (
    ModelFileDamaged,
    ModelFileError,
    ModelFileTooLarge,
    NotAnImageModel,
    UnsafeModel,
    UnsupportedModel,
)
from tintype.modelfiles.description import ReadOptions
from tintype.modelfiles.tensorflow.flow import flatten
from tintype.modelfiles.tensorflow.frozen import describe_frozen_graph
from tintype.modelfiles.tensorflow.graphdef import read_graph
from tintype.types import Activation, ClassOutput, DetectionOutput, Format, HeldInput, Layout
from tintype.wire.protobuf import encode


def describe(path, **options):
    return describe_frozen_graph(path, options=ReadOptions(**options))


@pytest.fixture
def retrained(build, saved):
    """The start of the graphs that the 2015 Inception and its retraining script wrote."""
    return saved(
        build.node("DecodeJpeg/contents", "Placeholder", dtype="dtype:string", shape=()),
        build.node("DecodeJpeg", "DecodeJpeg", "DecodeJpeg/contents", channels=3),
        build.node("Cast", "Cast", "DecodeJpeg", SrcT="dtype:uint8", DstT="dtype:float32"),
        build.const("dim", np.array(0, np.int32)),
        build.node("ExpandDims", "ExpandDims", "Cast", "dim"),
        build.const("size", np.array([64, 48], np.int32)),
        build.node("ResizeBilinear", "ResizeBilinear", "ExpandDims", "size"),
        build.const("Sub/y", np.array(128, np.float32)),
        build.node("Sub", "Sub", "ResizeBilinear", "Sub/y"),
        build.const("Mul/y", np.array(1 / 128, np.float32)),
        build.node("Mul", "Mul", "Sub", "Mul/y"),
        *build.network("Mul"),
    )


def test_input_and_output_are_found(build, saved):
    """The placeholder is the input, the softmax that nobody takes is the output."""
    found = describe(saved(build.placeholder(), *build.network()))
    assert found.format is Format.TF_FROZEN_GRAPH
    assert found.image.tensor.name == "input:0"
    assert (found.image.height, found.image.width, found.image.channels) == (32, 32, 3)
    assert found.image.layout is Layout.NHWC
    assert isinstance(found.output, ClassOutput)
    assert found.output.tensor.name == "final_result:0"
    assert found.output.classes == 5


def test_graph_names_what_to_feed_and_read(build, saved):
    """The engine gets the file, the input and the output."""
    path = saved(build.placeholder(), *build.network())
    graph = describe(path).graph
    assert graph.source == path
    assert graph.input.name == "input:0"
    assert [output.name for output in graph.outputs] == ["final_result:0"]


def test_fixed_batch_is_told(build, saved):
    """A batch size in the placeholder is reported."""
    found = describe(saved(build.placeholder(shape=(1, 32, 32, 3)), *build.network()))
    assert found.image.batch == 1


def test_free_batch_is_told(build, saved):
    """A free first axis means any batch size."""
    assert describe(saved(build.placeholder(), *build.network())).image.batch is None


@pytest.mark.parametrize(
    ("ending", "activation"),
    [
        ("Softmax", Activation.SOFTMAX),
        ("Sigmoid", Activation.SIGMOID),
        ("LogSoftmax", Activation.LOG_SOFTMAX),
        ("Tanh", Activation.LOGITS),
        (None, Activation.LOGITS),
    ],
)
def test_activation_is_the_last_operation(build, saved, ending, activation):
    """What ends the graph decides what its numbers are."""
    output = describe(saved(build.placeholder(), *build.network(ending=ending))).output
    assert output.activation is activation


def test_activation_is_seen_through_reshape(build, saved):
    """Identity and Reshape behind the softmax change nothing."""
    path = saved(
        build.placeholder(),
        *build.network(),
        build.const("sides", np.array([-1, 5], np.int32)),
        build.node("Reshape", "Reshape", "final_result", "sides"),
        build.node("out", "Identity", "Reshape"),
    )
    output = describe(path).output
    assert output.tensor.name == "out:0"
    assert output.activation is Activation.SOFTMAX
    assert output.classes == 5


@pytest.mark.parametrize("name", ["loss", "Mean_1"])
def test_the_softmax_is_the_answer_where_a_loss_is_the_only_end(build, saved, name):
    """A graph frozen with its loss, whatever that is called: what the loss takes is the answer."""
    path = saved(
        build.placeholder(),
        *build.network(),
        build.placeholder("truth", (-1, 5)),
        build.node("product", "Mul", "final_result", "truth"),
        build.const("all", np.array([0, 1], np.int32)),
        build.node(name, "Mean", "product", "all", keep_dims=False),
    )
    found = describe(path)
    assert ("final_result:0", 5) == (found.output.tensor.name, found.output.classes)
    assert "input:0" == found.image.tensor.name


def test_written_out_softmax_is_recognised(build, saved):
    """``exp(x) / sum(exp(x))`` is a softmax."""
    path = saved(
        build.placeholder(),
        *build.network(ending=None),
        build.node("Exp", "Exp", "logits"),
        build.const("axis", np.array([1], np.int32)),
        build.node("Sum", "Sum", "Exp", "axis", keep_dims=True),
        build.node("probabilities", "RealDiv", "Exp", "Sum"),
    )
    assert describe(path).output.activation is Activation.SOFTMAX


def test_number_of_the_best_class_is_no_answer(build, saved):
    """Behind an ArgMax, what it chose from is read."""
    path = saved(
        build.placeholder(),
        *build.network(),
        build.const("axis", np.array(1, np.int32)),
        build.node("best", "ArgMax", "final_result", "axis"),
    )
    assert describe(path).output.tensor.name == "final_result:0"


def test_training_leftovers_are_passed_over(build, saved):
    """Losses, gradients and summaries that nobody takes are no outputs."""
    path = saved(
        build.placeholder(),
        *build.network(),
        build.node("gradients/Softmax_grad", "Mul", "final_result", "final_result"),
        build.node("accuracy/Mean", "Mean", "final_result", "axes"),
        build.node("summary", "HistogramSummary", "final_result"),
        build.node("probabilities", "Identity", "final_result"),
    )
    assert describe(path).output.tensor.name == "probabilities:0"


def test_results_of_constants_are_no_outputs(build, saved):
    """What no input reaches is no answer, though nobody takes it."""
    leftover = [build.const("a", np.ones((1, 9), np.float32)), build.node("b", "Softmax", "a")]
    path = saved(*leftover, build.placeholder(), *build.network(ending=None))
    assert describe(path).output.tensor.name == "logits:0"


def test_graph_without_input_is_refused(build, saved):
    """Constants alone answer nothing."""
    path = saved(build.const("a", np.ones((1, 9), np.float32)), build.node("b", "Softmax", "a"))
    with pytest.raises(NotAnImageModel):
        describe(path)


def test_output_can_be_named(build, saved):
    """``--output`` takes an operation's name, with or without its port."""
    path = saved(build.placeholder(), *build.network())
    assert describe(path, output="logits").output.tensor.name == "logits:0"
    assert describe(path, output="logits:0").output.activation is Activation.LOGITS


def test_input_can_be_named(build, saved):
    """``--input`` enters the graph in the middle."""
    path = saved(
        build.placeholder(),
        build.const("y", np.array(255, np.float32)),
        build.node("scaled", "RealDiv", "input", "y"),
        *build.network("scaled"),
    )
    found = describe(path, input="scaled")
    assert found.image.tensor.name == "scaled:0"
    assert found.image.tensor.shape == (None, 32, 32, 3)
    assert found.evidence.affine is None


def test_unknown_name_suggests_the_nearest(build, saved):
    """A name that is not in the graph is answered with those like it."""
    path = saved(build.placeholder(), *build.network())
    with pytest.raises(ModelFileError, match="final_result"):
        describe(path, output="final_resul")
    with pytest.raises(ModelFileError, match="input"):
        describe(path, input="imput")


def test_named_output_must_depend_on_the_input(build, saved):
    """An input that the output does not use is refused."""
    path = saved(build.placeholder(), build.placeholder("other"), *build.network())
    with pytest.raises(NotAnImageModel, match="does not depend"):
        describe(path, input="other")


def test_graph_that_decodes_is_fed_behind_its_resize(retrained):
    """Behind ``ResizeBilinear`` the pixels have their size, and a batch axis of any length."""
    found = describe(retrained)
    assert found.image.tensor.name == "ResizeBilinear:0"
    assert found.image.tensor.shape == (None, 64, 48, 3)
    assert found.image.tensor.dtype == "float32"
    assert found.evidence.encoded_input


def test_cut_resize_is_told_with_its_kind(retrained):
    """Outside, the picture must be resized exactly as the graph would have done."""
    resize = describe(retrained).evidence.resize
    assert (64, 48, "tf1 bilinear", True) == (
        resize.height, resize.width, resize.kind, resize.cut
    )  # fmt: skip


def test_arithmetic_behind_the_cut_stays_in_the_graph(retrained):
    """``(x - 128) / 128`` is composed to one scale and offset a channel."""
    affine = describe(retrained).evidence.affine
    assert affine.scale == pytest.approx([1 / 128] * 3)
    assert affine.offset == pytest.approx([-1.0] * 3)
    assert affine.where == "Sub, Mul"


def test_constant_minus_pixels_turns_the_sign(build, saved):
    """Graphs that want dark on light compute ``1 - x / 255``."""
    path = saved(
        build.placeholder(),
        build.const("y", np.array(255, np.float32)),
        build.node("scaled", "RealDiv", "input", "y"),
        build.const("one", np.array(1, np.float32)),
        build.node("inverted", "Sub", "one", "scaled"),
        *build.network("inverted"),
    )
    affine = describe(path).evidence.affine
    assert affine.scale == pytest.approx([-1 / 255] * 3)
    assert affine.offset == pytest.approx([1.0] * 3)


@pytest.mark.parametrize("training", [True, False])
def test_normalisation_of_pixels_is_arithmetic(build, saved, training):
    """A batch normalisation straight on pixels is a scale and an offset, unless it trains."""
    moments = {"gamma": 2, "beta": 1, "mean": 3, "variance": 16}
    path = saved(
        build.placeholder(),
        *(build.const(name, np.full(3, value, np.float32)) for name, value in moments.items()),
        build.node("norm", "FusedBatchNorm", "input", *moments, epsilon=1e-9, is_training=training),
        *build.network("norm"),
    )
    affine = describe(path).evidence.affine
    if training:
        assert affine is None
    else:
        assert affine.scale == pytest.approx([0.5] * 3)
        assert affine.offset == pytest.approx([-0.5] * 3)


def test_arithmetic_ahead_of_the_cut_becomes_normalisation(build, saved):
    """What was cut off with the decoder (here / 255) must be done outside."""
    path = saved(
        build.node("contents", "Placeholder", dtype="dtype:string", shape=()),
        build.node("decode", "DecodeJpeg", "contents", channels=3),
        build.node("Cast", "Cast", "decode", SrcT="dtype:uint8", DstT="dtype:float32"),
        build.const("y", np.array(1 / 255, np.float32)),
        build.node("scaled", "Mul", "Cast", "y"),
        build.const("dim", np.array(0, np.int32)),
        build.node("ExpandDims", "ExpandDims", "scaled", "dim"),
        build.const("size", np.array([32, 32], np.int32)),
        build.node("resized", "ResizeBilinear", "ExpandDims", "size", half_pixel_centers=True),
        *build.network("resized"),
    )
    found = describe(path)
    assert found.image.tensor.name == "resized:0"
    assert found.evidence.normalisation.std == pytest.approx([255] * 3)
    assert found.evidence.normalisation.mean == pytest.approx([0] * 3)
    assert found.evidence.resize.kind == "tf2 bilinear"


def test_decoder_without_resize_is_fed_where_the_batch_begins(build, saved):
    """Without a resize, the first tensor with a batch axis takes pictures of any size."""
    path = saved(
        build.node("contents", "Placeholder", dtype="dtype:string", shape=()),
        build.node("decode", "DecodePng", "contents", channels=1),
        build.node("Cast", "Cast", "decode", SrcT="dtype:uint8", DstT="dtype:float32"),
        build.const("dim", np.array(0, np.int32)),
        build.node("batch", "ExpandDims", "Cast", "dim"),
        *build.network("batch", channels=1),
    )
    found = describe(path)
    assert found.image.tensor.name == "batch:0"
    assert found.image.tensor.shape == (None, None, None, 1)


def test_pixels_keep_their_type_up_to_the_cut(build, saved):
    """Fed ahead of the cast to float, the graph takes bytes."""
    path = saved(
        build.node("contents", "Placeholder", dtype="dtype:string", shape=()),
        build.node("decode", "DecodeImage", "contents", channels=3, dtype="dtype:uint8"),
        build.const("dim", np.array(0, np.int32)),
        build.node("batch", "ExpandDims", "decode", "dim"),
        build.node("Cast", "Cast", "batch", SrcT="dtype:uint8", DstT="dtype:float32"),
        *build.network("Cast"),
    )
    image = describe(path).image
    assert (image.tensor.name, image.tensor.dtype) == ("batch:0", "uint8")


def test_constant_contents_do_not_hide_the_decoder(build, saved):
    """The published Inception of 2015 has an empty constant where the file's bytes go."""
    path = saved(
        build.const("contents", np.zeros(0, np.uint8)),
        build.node("DecodeJpeg", "DecodeJpeg", "contents", channels=3),
        build.node("Cast", "Cast", "DecodeJpeg", DstT="dtype:float32"),
        build.const("dim", np.array(0, np.int32)),
        build.node("ExpandDims", "ExpandDims", "Cast", "dim"),
        *build.network("ExpandDims"),
    )
    assert describe(path).image.tensor.name == "ExpandDims:0"


def test_resize_inside_is_left_to_the_graph(build, saved):
    """A graph that takes pixels and resizes them takes any size."""
    path = saved(
        build.placeholder(shape=(-1, -1, -1, 3), dtype="uint8"),
        build.const("size", np.array([32, 32], np.int32)),
        build.node("resized", "ResizeNearestNeighbor", "input", "size", align_corners=True),
        *build.network("resized"),
    )
    found = describe(path)
    assert (None, None) == (found.image.height, found.image.width)
    assert found.image.tensor.dtype == "uint8"
    assert found.evidence.resize.kind == "align-corners nearest"
    assert not found.evidence.resize.cut


def test_reversed_channels_are_followed(build, saved):
    """Behind a reversal to BGR, constants and kernel are told in the order of the input."""
    path = saved(
        build.placeholder(),
        build.const("axis", np.array([-1], np.int32)),
        build.node("bgr", "ReverseV2", "input", "axis"),
        build.const("mean", np.array([103, 116, 123], np.float32)),
        build.node("centred", "Sub", "bgr", "mean"),
        *build.network("centred"),
    )
    evidence = describe(path).evidence
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 4)).astype(np.float32)
    assert evidence.affine.offset == (-123, -116, -103)
    np.testing.assert_array_equal(kernel[:, :, ::-1], evidence.first_layers.kernel)


def batch_normalised(build, *, rectified=False, gamma=True, beta=True):
    """A convolution and a batch normalisation as TensorFlow 1 writes it out."""
    moments = {"mean": [1, 2, 3, 4], "variance": [5, 6, 7, 8], "gamma": [2] * 4, "beta": [1] * 4}
    start = build.network(ending=None)[:2]
    nodes = [build.const(name, np.array(value, np.float32)) for name, value in moments.items()]
    nodes += [
        build.const("epsilon", np.array(0.002, np.float32)),
        build.node("total", "Add", "variance", "epsilon"),
        build.node("rsqrt", "Rsqrt", "total"),
        build.node("factor", "Mul", "rsqrt", "gamma") if gamma
        else build.node("factor", "Identity", "rsqrt"),
        build.node("relu", "Relu6" if rectified else "Identity", "conv"),
        build.node("product", "Mul", "relu", "factor"),
        build.node("negative", "Neg", "mean"),
        build.node("meaned", "Mul", "mean" if beta else "negative", "factor"),
        build.node("shift", "Sub", "beta", "meaned") if beta
        else build.node("shift", "Identity", "meaned"),
        build.node("normed", "AddV2", "product", "shift"),
        build.const("axes", np.array([1, 2], np.int32)),
        build.node("pool", "Mean", "normed", "axes", keep_dims=False),
    ]  # fmt: skip
    return [*start, *nodes]


@pytest.mark.parametrize(("gamma", "beta"), [(True, True), (False, True), (True, False)])
def test_written_out_batch_normalisation_is_recovered(build, saved, gamma, beta):
    """Mean and variance are read out of the Mul, Sub and Rsqrt that freezing leaves."""
    path = saved(build.placeholder(), *batch_normalised(build, gamma=gamma, beta=beta))
    first = describe(path).evidence.first_layers
    np.testing.assert_array_equal([1, 2, 3, 4], first.mean)
    np.testing.assert_array_equal([5, 6, 7, 8], first.variance)
    assert first.epsilon == pytest.approx(0.002)
    assert not first.rectified


def test_rectifier_between_is_told(build, saved):
    """A Relu6 ahead of the normalisation matters to its statistics."""
    path = saved(build.placeholder(), *batch_normalised(build, rectified=True))
    first = describe(path).evidence.first_layers
    assert first.rectified
    assert first.ceiling == 6


def test_fused_batch_normalisation_is_read(build, saved):
    """FusedBatchNormV3 in inference mode holds its moments as inputs; the bias is kept apart."""
    names = ("gamma", "beta", "mean", "variance", "bias")
    values = [build.const(name, np.full(4, at, np.float32)) for at, name in enumerate(names, 1)]
    path = saved(
        build.placeholder(),
        *build.network(ending=None)[:2],
        *values,
        build.node("biased", "BiasAdd", "conv", "bias"),
        build.node("norm", "FusedBatchNormV3", "biased", "gamma", "beta", "mean", "variance",
                   epsilon=0.01, is_training=False),
        build.const("axes", np.array([1, 2], np.int32)),
        build.node("pool", "Mean", "norm", "axes", keep_dims=False),
    )  # fmt: skip
    first = describe(path).evidence.first_layers
    np.testing.assert_array_equal([3] * 4, first.mean)
    np.testing.assert_array_equal([4] * 4, first.variance)
    np.testing.assert_array_equal([5] * 4, first.bias)
    assert first.epsilon == pytest.approx(0.01)


def test_normalisation_in_training_mode_tells_nothing(build, saved):
    """With is_training the moments are those of the batch, so none are reported."""
    values = [build.const(name, np.ones(4, np.float32)) for name in ("g", "b", "m", "v")]
    path = saved(
        build.placeholder(),
        *build.network(ending=None)[:2],
        *values,
        build.node("norm", "FusedBatchNorm", "conv", "g", "b", "m", "v", is_training=True),
        build.const("axes", np.array([1, 2], np.int32)),
        build.node("pool", "Mean", "norm", "axes", keep_dims=False),
    )
    assert describe(path).evidence.first_layers.mean is None


def test_function_bodies_are_looked_through(build, saved):
    """What a call returns is what the function's body makes."""
    body = build.function(
        "body", ["x"], {"y": "soft:softmax:0"},
        *build.network("x", ending=None)[:2],
        build.const("axes", np.array([1, 2], np.int32)),
        build.node("pool", "Mean", "conv:output:0", "axes:output:0", keep_dims=False),
        build.node("soft", "Softmax", "pool:output:0"),
    )  # fmt: skip
    path = saved(
        build.placeholder(),
        build.node("call", "PartitionedCall", "input", f="function:body"),
        library=encode(1, body),
    )
    found = describe(path)
    assert found.output.tensor.name == "call:0"
    assert found.output.activation is Activation.SOFTMAX
    assert found.output.classes == 4


def test_named_outputs_in_functions_are_numbered(build):
    """``nms:valid_outputs:0`` is the third output of the operation."""
    body = build.function("body", ["x"], {"y": "nms:valid_outputs:0"},
                          build.node("nms", "NonMaxSuppressionV5", "x"))  # fmt: skip
    call = build.node("call", "PartitionedCall", "input", f="function:body")
    graph = read_graph(memoryview(build.graph(call, library=encode(1, body))))
    flow = flatten(graph.nodes, graph.library, ["call"])
    assert ("call/nms", 2) == flow.resolve(("call", 0))


def test_calls_without_end_are_refused(build, saved):
    """A function that calls itself ends in an error, not in the recursion limit."""
    body = build.function(
        "body", ["x"], {"y": "again:output:0"},
        build.node("again", "PartitionedCall", "x", f="function:body"),
    )  # fmt: skip
    path = saved(
        build.placeholder(),
        build.node("call", "PartitionedCall", "input", f="function:body"),
        library=encode(1, body),
    )
    with pytest.raises(ModelFileDamaged, match="without end"):
        describe(path)


def test_calls_that_multiply_are_refused(build, saved):
    """Functions that each call the next one four times stop at the limit of operations."""
    bodies = [
        build.function(
            f"f{depth}", ["x"], {"y": "n0:output:0"},
            *(build.node(f"n{at}", "PartitionedCall", "x", f=f"function:f{depth + 1}")
              for at in range(4)),
        )
        for depth in range(20)
    ]  # fmt: skip
    path = saved(
        build.placeholder(),
        build.node("call", "PartitionedCall", "input", f="function:f0"),
        library=b"".join(encode(1, body) for body in bodies),
    )
    with pytest.raises(ModelFileTooLarge, match="functions"):
        describe(path)


def test_missing_function_is_told(build, saved):
    """A call of nothing is damage."""
    path = saved(
        build.placeholder(), build.node("call", "PartitionedCall", "input", f="function:gone")
    )
    with pytest.raises(ModelFileDamaged, match="gone"):
        describe(path)


@pytest.mark.parametrize(
    ("name", "dtype", "value"),
    [
        ("keep_prob", "float32", 1.0),
        ("dropout_rate", "float32", 0.0),
        ("is_training", "bool", False),
        ("phase_train", "bool", False),
        ("keras_learning_phase", "bool", False),
    ],
)
def test_training_switches_are_held(build, saved, name, dtype, value):
    """Inputs that only training uses get the value of use."""
    path = saved(
        build.placeholder(),
        build.placeholder(name, shape=(), dtype=dtype),
        *build.network(),
        build.node("switched", "Mul", "final_result", name),
    )
    found = describe(path)
    assert found.graph.held == (HeldInput(name=f"{name}:0", value=value),)
    assert f"the input '{name}:0' is held at {value}" in found.notes


@pytest.mark.parametrize(("op", "value"), [("RealDiv", 1.0), ("Mul", 0.0)])
def test_dropout_input_is_told_by_its_use(build, saved, op, value):
    """What is divided by is the share that is kept; else it is the share that is dropped."""
    path = saved(
        build.placeholder(),
        build.placeholder("dropout", shape=()),
        *build.network(),
        build.node("switched", op, "final_result", "dropout"),
    )
    assert describe(path).graph.held == (HeldInput(name="dropout:0", value=value),)


def test_unknown_further_input_is_refused_by_name(build, saved):
    """A second input without a known value cannot be guessed."""
    path = saved(
        build.placeholder(),
        build.placeholder("age", shape=(-1, 1)),
        *build.network(),
        build.node("mixed", "Mul", "final_result", "age"),
    )
    with pytest.raises(UnsupportedModel, match=r"'age' .float32, shape any x 1."):
        describe(path)


def test_input_that_the_output_ignores_is_no_matter(build, saved):
    """A leftover input for labels is left out."""
    path = saved(build.placeholder(), build.placeholder("labels", shape=(-1, 5)), *build.network())
    assert describe(path).graph.held == ()


def test_channels_first_is_recognised(build, saved):
    """Three channels on the second axis are NCHW."""
    path = saved(build.placeholder(shape=(-1, 3, 32, 40)), *build.network())
    image = describe(path).image
    assert image.layout is Layout.NCHW
    assert (image.height, image.width, image.channels) == (32, 40, 3)


def test_flat_input_is_recognised_by_its_reshape(build, saved):
    """N x 784 that becomes N x 28 x 28 x 1 is a flat picture."""
    path = saved(
        build.placeholder(shape=(-1, 784)),
        build.const("sides", np.array([-1, 28, 28, 1], np.int32)),
        build.node("unflat", "Reshape", "input", "sides"),
        *build.network("unflat", channels=1),
    )
    image = describe(path).image
    assert image.layout is Layout.FLAT
    assert (image.height, image.width, image.channels) == (28, 28, 1)


def test_input_without_channel_axis_is_recognised(build, saved):
    """N x 28 x 28 is a grey picture."""
    path = saved(
        build.placeholder(shape=(-1, 28, 28)),
        build.const("dim", np.array(-1, np.int32)),
        build.node("expanded", "ExpandDims", "input", "dim"),
        *build.network("expanded", channels=1),
    )
    assert describe(path).image.layout is Layout.NHW


def test_input_of_unknown_shape_takes_channels_from_the_kernel(build, saved):
    """Converters that drop shapes leave the first kernel to tell the channels."""
    path = saved(build.node("input", "Placeholder", dtype="dtype:float32"), *build.network())
    image = describe(path).image
    assert image.tensor.shape == (None, None, None, 3)


@pytest.mark.parametrize(
    ("shape", "dtype", "words"),
    [
        ((-1, 60, 1), "float32", "any x 60 x 1"),
        ((-1, 10), "float32", "any x 10"),
        ((-1, 128), "int32", "any x 128"),
        ((-1, 32, 32, 7), "float32", "any x 32 x 32 x 7"),
    ],
)
def test_other_models_are_refused_by_input(build, saved, shape, dtype, words):
    """Series, tables and text are named with their shape."""
    path = saved(
        build.placeholder("series", shape=shape, dtype=dtype),
        build.const("dense", np.ones((4, 2), np.float32)),
        build.node("out", "MatMul", "series", "dense"),
    )
    with pytest.raises(NotAnImageModel, match=f"'series' .{dtype}, shape {words}"):
        describe(path)


def test_output_that_is_a_picture_is_refused(build, saved):
    """A map of numbers for each pixel is no answer in labels."""
    path = saved(build.placeholder(), *build.network()[:2])
    with pytest.raises(NotAnImageModel, match="no row of numbers"):
        describe(path)


def test_detector_is_recognised_by_its_outputs(build, saved):
    """The TF Object Detection API names its outputs, and counts classes from one."""
    names = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")
    path = saved(
        build.placeholder("image_tensor", shape=(-1, -1, -1, 3), dtype="uint8"),
        *(build.node(name, "Custom", "image_tensor") for name in names),
    )
    found = describe(path)
    assert isinstance(found.output, DetectionOutput)
    assert found.output.first_class == 1
    assert [f"{name}:0" for name in names] == [output.name for output in found.graph.outputs]


@pytest.mark.parametrize("op", ["PyFunc", "EagerPyFunc", "ReadFile", "WriteFile"])
def test_code_and_files_are_refused(build, saved, op):
    """Operations that run code or touch files are named with their node."""
    path = saved(build.placeholder(), build.node("evil", op, "input"), *build.network("evil"))
    with pytest.raises(UnsafeModel, match=rf"{op} \(evil\)"):
        describe(path)


def test_code_is_found_inside_loops(build, saved):
    """The body of a loop is looked at too."""
    body = build.function("body", ["x"], {"y": "p:output:0"}, build.node("p", "PyFunc", "x"))
    path = saved(
        build.placeholder(),
        build.node("loop", "While", "input", body="function:body"),
        *build.network("loop"),
        library=encode(1, body),
    )
    with pytest.raises(UnsafeModel, match="loop/p"):
        describe(path)


def test_constant_with_missing_content_is_damage(build, saved):
    """The declared shape and the bytes must agree."""
    short = encode(1, 1) + encode(2, build.shape(10)) + encode(4, b"1234")
    path = saved(build.placeholder(), build.node("short", "Const", value=short), *build.network())
    with pytest.raises(ModelFileDamaged, match="'short' declares 40 bytes"):
        describe(path)


def test_huge_repeated_constant_is_too_large(build, saved):
    """A few bytes may not declare gigabytes."""
    huge = encode(1, 1) + encode(2, build.shape(1 << 20, 1 << 10)) + encode(5, b"\0\0\0\0")
    path = saved(build.placeholder(), build.node("huge", "Const", value=huge), *build.network())
    with pytest.raises(ModelFileTooLarge, match="huge"):
        describe(path)


def test_huge_fill_is_too_large(build, saved):
    """Nor may an operation that fills a tensor."""
    path = saved(
        build.placeholder(),
        build.const("sides", np.array([1 << 20, 1 << 12], np.int32)),
        build.const("zero", np.array(0, np.float32)),
        build.node("fill", "Fill", "sides", "zero"),
        *build.network(),
        build.node("added", "AddV2", "final_result", "fill"),
    )
    with pytest.raises(ModelFileTooLarge, match="fill"):
        describe(path)


def test_file_above_the_limit_is_not_read(build, saved):
    """``max_bytes`` stops large files before they are read."""
    path = saved(build.placeholder(), *build.network())
    with pytest.raises(ModelFileTooLarge, match="the limit is 100"):
        describe(path, max_bytes=100)


def test_empty_and_missing_files_are_damage(tmp_path):
    """Neither raises an OSError."""
    (tmp_path / "empty.pb").touch()
    for name in ("empty.pb", "gone.pb"):
        with pytest.raises(ModelFileDamaged, match=name):
            describe(tmp_path / name)


def test_every_truncation_is_told(build, saved, tmp_path):
    """A file cut short inside a node is damaged, wherever that is."""
    nodes = [build.placeholder(), *build.network()]
    whole = saved(*nodes).read_bytes()
    ends = {len(build.graph(*nodes[:count])) for count in range(len(nodes) + 1)}
    cut = tmp_path / "cut.pb"
    for length in set(range(0, len(whole), 5)) - ends:
        cut.write_bytes(whole[:length])
        with pytest.raises(ModelFileDamaged):
            describe(cut)


def test_backbone_and_layers_are_told(build, saved):
    """Scopes name the architecture; layers are the operations with kernels."""
    path = saved(build.placeholder(), *build.network(), build.node(
        "MobilenetV2/out", "Identity", "final_result"))  # fmt: skip
    found = describe(path)
    assert found.evidence.backbone == "mobilenetv2"
    assert [("conv", 108), ("logits", 20)] == [
        (layer.name, layer.parameters) for layer in found.layers
    ]
    assert "conv (Conv2D)" in found.operations
