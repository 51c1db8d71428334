from __future__ import annotations

import json

import numpy as np
import pytest

from tintype.errors import (
    ModelFileDamaged,
    ModelFileError,
    ModelFileTooLarge,
    NotAnImageModel,
    UnsafeModel,
)
from tintype.modelfiles.description import ReadOptions
from tintype.modelfiles.onnxfile import describe_onnx
from tintype.types import Activation, ClassOutput, DetectionOutput, Layout

onnx = pytest.importorskip("onnx")


@pytest.fixture
def described(write):
    """Describe bytes as a file of the test's own."""
    return lambda content, **kw: describe_onnx(write("m.onnx", content), options=ReadOptions(**kw))


def test_a_classifier_is_described(described, small_onnx):
    """Layout by structure, size, free batch, classes, activation, writer."""
    found = described(small_onnx)

    assert (Layout.NCHW, 8, 8, 3, None) == (
        found.image.layout,
        found.image.height,
        found.image.width,
        found.image.channels,
        found.image.batch,
    )
    assert isinstance(found.output, ClassOutput)
    assert (4, Activation.SOFTMAX) == (found.output.classes, found.output.activation)
    assert found.writer == "a test, opset 17, IR version 10"
    assert [layer.kind for layer in found.layers][-1] == "BatchNormalization"


def test_channels_last_is_seen_by_the_transpose(described, onnx_graph, make_nchw_onnx):
    """A graph that turns its input to NCHW is fed NHWC."""
    found = described(make_nchw_onnx(onnx_graph, transposed=True, batch=2))

    assert (Layout.NHWC, 2) == (found.image.layout, found.image.batch)


@pytest.mark.parametrize("transposed", [False, True])
def test_the_start_of_the_network_is_told(described, onnx_graph, make_nchw_onnx, transposed):
    """Scaling inside, kernel, bias, rectifier and batch norm, in either layout."""
    evidence = described(make_nchw_onnx(onnx_graph, transposed=transposed)).evidence
    weights = np.random.default_rng(7).normal(size=(4, 3, 3, 3)).astype(np.float32)

    assert evidence.affine is not None
    np.testing.assert_allclose(evidence.affine.scale, [1 / 255] * 3, rtol=1e-6)
    np.testing.assert_allclose(evidence.affine.offset, [-0.5, -0.4, -0.3], rtol=1e-6)
    first = evidence.first_layers
    assert first is not None
    np.testing.assert_array_equal(weights[1, 2, 0, 1], first.kernel[0, 1, 2, 1])
    np.testing.assert_array_equal(np.arange(4, dtype=np.float32), first.bias)
    np.testing.assert_array_equal(np.full(4, 0.25, np.float32), first.mean)
    np.testing.assert_array_equal(np.full(4, 2.0, np.float32), first.variance)
    assert (True, None, 0.001) == (first.rectified, first.ceiling, pytest.approx(first.epsilon))


def test_pixels_that_go_two_ways_tell_no_first_convolution(described, onnx_graph):
    """Where the graph branches at once, neither branch is the start of the network."""
    onnx_graph.constant("W", np.ones((4, 3, 3, 3), np.float32))
    for made in ("a", "b"):
        onnx_graph.node("Conv", ["pixels", "W"], [made])
    onnx_graph.node("Add", ["a", "b"], ["y"])
    found = described(onnx_graph.build([("pixels", [1, 3, 8, 8])], [("y", [1, 4])]))

    assert found.evidence.first_layers is None


def norm_and_clip(maker, *, clip_first):
    """A convolution, then batch norm and a rectifier clipped at 6, in either order."""
    maker.constant("W", np.ones((4, 3, 3, 3), np.float32))
    maker.constant("bias", np.arange(4, dtype=np.float32).reshape(1, 4, 1, 1))
    maker.constant("low", np.float32(0))
    maker.constant("high", np.float32(6))
    for name in ("g", "b", "m", "v"):
        maker.constant(name, np.ones(4, np.float32))
    maker.node("Conv", ["pixels", "W"], ["made"])
    maker.node("Add", ["made", "bias"], ["first"])
    steps = ["Clip", "BatchNormalization"] if clip_first else ["BatchNormalization", "Clip"]
    value = "first"
    for step in steps:
        others = ["low", "high"] if step == "Clip" else ["g", "b", "m", "v"]
        maker.node(step, [value, *others], [f"{step}_made"])
        value = f"{step}_made"
    maker.node("Softmax", [value], ["y"])
    return maker.build([("pixels", [1, 3, 8, 8])], [("y", [1, 4])])


@pytest.mark.parametrize(("clip_first", "expected"), [(True, (True, 6.0)), (False, (False, None))])
def test_only_a_rectifier_before_the_batch_norm_counts(described, onnx_graph, clip_first, expected):
    """Statistics are of what went into the batch norm: clipped at 6, or not at all."""
    first = described(norm_and_clip(onnx_graph, clip_first=clip_first)).evidence.first_layers

    assert first is not None
    assert expected == (first.rectified, first.ceiling)
    assert first.mean is not None
    np.testing.assert_array_equal(np.arange(4, dtype=np.float32), first.bias)


def test_a_batch_norm_before_the_convolution_is_scaling(described, onnx_graph):
    """A normalisation of the pixels themselves is told as one scale and offset."""
    rows = {"g": [2.0] * 3, "b": [1.0] * 3, "m": [10.0, 20.0, 30.0], "v": [4.0 - 1e-5] * 3}
    for name, values in rows.items():
        onnx_graph.constant(name, np.float32(values))
    onnx_graph.constant("W", np.ones((4, 3, 3, 3), np.float32))
    onnx_graph.node("BatchNormalization", ["pixels", *rows], ["normal"])
    onnx_graph.node("Conv", ["normal", "W"], ["made"])
    onnx_graph.node("Softmax", ["made"], ["scores"])
    found = described(onnx_graph.build([("pixels", ["N", 3, 8, 8])], [("scores", ["N", 4])]))

    assert found.evidence.affine is not None
    np.testing.assert_allclose(found.evidence.affine.scale, [1.0] * 3, rtol=1e-5)
    np.testing.assert_allclose(found.evidence.affine.offset, [-9.0, -19.0, -29.0], rtol=1e-5)


def test_a_wholly_free_shape_takes_its_channels_from_the_convolution(described, onnx_graph):
    """Only the weights tell that one grey channel goes in."""
    onnx_graph.constant("W", np.ones((4, 1, 3, 3), np.float32))
    onnx_graph.node("Conv", ["pixels", "W"], ["made"])
    onnx_graph.node("Sigmoid", ["made"], ["scores"])
    found = described(onnx_graph.build([("pixels", ["N", "C", "H", "W"])], [("scores", ["N", 1])]))

    assert (Layout.NCHW, 1, None) == (
        found.image.layout,
        found.image.channels,
        found.image.height,
    )
    assert isinstance(found.output, ClassOutput)
    assert found.output.activation is Activation.SIGMOID


@pytest.mark.parametrize(
    ("mode", "kind"), [("half_pixel", "tf2 bilinear"), ("asymmetric", "tf1 bilinear")]
)
def test_a_resize_inside_is_told_where_any_size_goes_in(described, onnx_graph, mode, kind):
    """Pictures of any size are resized by the graph; the arithmetic behind it still counts."""
    onnx_graph.constant("size", np.array([1, 3, 24, 32], np.int64))
    onnx_graph.constant("f", np.float32(1 / 255))
    onnx_graph.constant("W", np.ones((4, 3, 3, 3), np.float32))
    onnx_graph.node(
        "Resize",
        ["pixels", "", "", "size"],
        ["small"],
        mode="linear",
        coordinate_transformation_mode=mode,
    )
    onnx_graph.node("Mul", ["small", "f"], ["scaled"])
    onnx_graph.node("Conv", ["scaled", "W"], ["y"])
    content = onnx_graph.build([("pixels", [1, 3, None, None])], [("y", [1, 4])])
    evidence = described(content).evidence

    assert evidence.resize is not None
    assert (24, 32, kind) == (evidence.resize.height, evidence.resize.width, evidence.resize.kind)
    assert evidence.affine is not None


def test_channels_swapped_by_gather_are_still_a_picture(described, onnx_graph):
    """RGB to BGR inside the graph is no embedding."""
    onnx_graph.constant("order", np.array([2, 1, 0], np.int64))
    onnx_graph.node("Gather", ["pixels", "order"], ["y"], axis=1)
    content = onnx_graph.build([("pixels", [1, 3, 8, 8])], [("y", [1, 4])])

    assert described(content).image.channels == 3


PROPERTIES = [
    pytest.param({"names": "{0: 'cat', 1: 'dog'}"}, id="Ultralytics"),
    pytest.param({"tintype.labels": '["cat", "dog"]'}, id="our own"),
    pytest.param({"labels": "cat,dog"}, id="commas"),
    pytest.param({"classes": "cat\ndog"}, id="lines"),
    pytest.param({"id2label": '{"0": "cat", "1": "dog"}'}, id="id2label"),
    pytest.param({"names": "nonsense: {", "labels": "cat, dog"}, id="the first that can be read"),
]


@pytest.mark.parametrize("properties", PROPERTIES)
def test_labels_in_the_properties_are_read(described, onnx_graph, make_nchw_onnx, properties):
    """Exporters write labels into the file's properties."""
    onnx_graph.properties = {**properties}
    found = described(make_nchw_onnx(onnx_graph))

    if "nonsense" not in properties.get("names", ""):
        assert found.labels_in_file == ("cat", "dog")
    else:
        assert found.labels_in_file is not None


def test_our_own_recipe_comes_back(described, onnx_graph, make_nchw_onnx):
    """What tintype convert wrote is handed on."""
    recipe = json.dumps({"preset": "keras-load-img"})
    onnx_graph.properties = {"tintype.recipe": recipe, "tintype.source": "keras"}
    evidence = described(make_nchw_onnx(onnx_graph)).evidence

    assert (recipe, "keras") == (evidence.recipe, evidence.source)


def test_a_detector_of_the_object_detection_api(described, onnx_graph):
    """tf2onnx keeps the API's names."""
    names = ["detection_boxes", "detection_classes", "detection_scores", "num_detections"]
    for name in names:
        onnx_graph.node("Identity", ["pixels"], [name])
    outputs = [(name, [1, 10]) for name in names]
    found = described(onnx_graph.build([("pixels", [1, None, None, 3], "UINT8")], outputs))

    assert isinstance(found.output, DetectionOutput)
    assert len(found.graph.outputs) == 4


def test_a_series_of_prices_is_no_picture(described, onnx_graph):
    """An LSTM on [N, 60, 60] is refused though it is square."""
    onnx_graph.node("LSTM", ["prices", "w", "r"], ["y"], hidden_size=4)
    for name in ("w", "r"):
        onnx_graph.constant(name, np.ones((1, 16, 4), np.float32))
    content = onnx_graph.build([("prices", ["N", 60, 60])], [("y", ["N", 1])])
    with pytest.raises(NotAnImageModel, match=r"'prices' \[N, 60, 60\] float32"):
        described(content)


def test_initializers_listed_as_inputs_are_none(described, onnx_graph):
    """Old files list their weights among the inputs."""
    onnx_graph.constant("W", np.ones((4, 3, 3, 3), np.float32))
    onnx_graph.node("Conv", ["pixels", "W"], ["y"])
    content = onnx_graph.build([("pixels", [1, 3, 8, 8]), ("W", [4, 3, 3, 3])], [("y", [1, 4])])

    assert described(content).image.tensor.name == "pixels"


def test_a_second_input_is_refused(described, onnx_graph):
    """A picture and a table at once cannot be fed."""
    onnx_graph.node("Foo", ["pixels", "age"], ["y"])
    content = onnx_graph.build([("pixels", [1, 3, 8, 8]), ("age", [1, 2])], [("y", [1, 4])])
    with pytest.raises(NotAnImageModel, match="2 inputs at once"):
        described(content)


@pytest.fixture
def outside(onnx_graph, tmp_path):
    """A file whose weights lie in another one."""

    def make(location, *, length=432, offset=0):
        onnx_graph.constant("W", np.ones((4, 3, 3, 3), np.float32))
        onnx_graph.node("Conv", ["pixels", "W"], ["y"])
        model = onnx_graph.model([("pixels", [1, 3, 8, 8])], [("y", [1, 4])])
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = 1
        for key, value in (("location", location), ("offset", offset), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))
        path = tmp_path / "m.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    return make


def test_weights_beside_the_file_are_noted(outside, tmp_path):
    """External data in the same folder is fine, and said."""
    (tmp_path / "m.data").write_bytes(bytes(432))
    found = describe_onnx(outside("m.data"), options=ReadOptions())

    assert found.findings[0].where == "m.data"


@pytest.mark.parametrize("location", ["../m.data", "/etc/passwd", "a/../../m"])
def test_weights_elsewhere_are_refused(outside, location):
    """No file outside the folder is named to an engine."""
    with pytest.raises(UnsafeModel, match="outside its own folder"):
        describe_onnx(outside(location), options=ReadOptions())


def test_weights_that_are_not_there_are_named(outside):
    """The second file was not copied."""
    with pytest.raises(ModelFileError, match=r"m\.data, which is not beside it"):
        describe_onnx(outside("m.data"), options=ReadOptions())


@pytest.mark.parametrize(("length", "offset"), [(432, 1), (432, -1), (100, 0), ("x", 0)])
def test_outside_weights_of_another_size_are_damaged(outside, tmp_path, length, offset):
    """Offset and length must fit the tensor and the file."""
    (tmp_path / "m.data").write_bytes(bytes(432))
    with pytest.raises(ModelFileDamaged):
        describe_onnx(outside("m.data", length=length, offset=offset), options=ReadOptions())


def broken(onnx_graph, change):
    onnx_graph.constant("W", np.ones((4, 3, 3, 3), np.float32))
    onnx_graph.node("Conv", ["pixels", "W"], ["y"])
    model = onnx_graph.model([("pixels", [1, 3, 8, 8])], [("y", [1, 4])])
    change(model.graph)
    return model.SerializeToString()


def grow(graph):
    del graph.initializer[0].dims[:]
    graph.initializer[0].dims.extend([1 << 20, 1 << 20, 3, 3])


def shrink(graph):
    graph.initializer[0].raw_data = b"1234"


def negative(graph):
    graph.initializer[0].dims[0] = -4


def empty(graph):
    graph.initializer[0].ClearField("raw_data")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (grow, ModelFileTooLarge),
        (shrink, ModelFileDamaged),
        (negative, ModelFileDamaged),
        (empty, ModelFileDamaged),
    ],
)
def test_weights_are_measured_before_they_are_believed(described, onnx_graph, change, error):
    """Declared shapes are compared with the stored bytes."""
    with pytest.raises(error):
        described(broken(onnx_graph, change))


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [("ConstantOfShape", ["s"]), ("Expand", ["one", "s"]), ("Tile", ["one", "s"])],
)
def test_constants_blown_up_are_refused(described, onnx_graph, kind, inputs):
    """A few numbers that make terabytes are refused before an engine computes them."""
    onnx_graph.constant("s", np.array([1 << 20, 1 << 20], np.int64))
    onnx_graph.constant("one", np.ones((1, 1), np.float32))
    onnx_graph.node(kind, inputs, ["big"])
    onnx_graph.node("Add", ["pixels", "big"], ["y"])
    content = onnx_graph.build([("pixels", [1, 3, 8, 8])], [("y", [1, 4])])
    with pytest.raises(ModelFileTooLarge, match=kind):
        described(content)


def test_weights_in_nested_graphs_are_measured_too(described, onnx_graph):
    """The branch of an If hides no bomb."""
    inner = onnx.helper.make_graph([], "inner", [], [])
    inner.initializer.add(name="bomb", data_type=1, dims=[1 << 40, 1 << 10])
    onnx_graph.node("If", ["pixels"], ["y"], then_branch=inner)
    content = onnx_graph.build([("pixels", [1, 3, 8, 8])], [("y", [1, 4])])
    with pytest.raises(ModelFileTooLarge, match="bomb"):
        described(content)


@pytest.mark.parametrize("kind", ["PythonOp", "PyOp"])
def test_operations_that_are_programs_are_refused(described, onnx_graph, kind):
    """Python inside a graph is never run."""
    onnx_graph.node(kind, ["pixels"], ["y"])
    content = onnx_graph.build([("pixels", [1, 3, 8, 8])], [("y", [1, 4])])
    with pytest.raises(UnsafeModel, match=kind):
        described(content)


def test_a_file_cut_short_is_damaged(described, small_onnx):
    """Half a file is said to end too early."""
    with pytest.raises(ModelFileDamaged):
        described(small_onnx[: len(small_onnx) // 2])


def test_layers_and_first_numbers_agree_with_the_runtime(small_onnx, described):
    """The kernel told, applied by hand, equals what ONNX Runtime computes with the graph's own."""
    runtime = pytest.importorskip("onnxruntime", reason="the reference is not installed")
    first = described(small_onnx).evidence.first_layers
    assert first is not None
    model = onnx.load_model_from_string(small_onnx)
    model.graph.output.append(onnx.helper.make_tensor_value_info("made", 1, ["N", 4, 8, 8]))
    session = runtime.InferenceSession(model.SerializeToString())
    pixels = np.random.default_rng(1).uniform(0, 255, (1, 3, 8, 8)).astype(np.float32)
    made = session.run(["made"], {"pixels": pixels})[0]
    affine = described(small_onnx).evidence.affine
    assert affine is not None
    scaled = pixels[0].transpose(1, 2, 0) * affine.scale + affine.offset
    patch = scaled[2:5, 3:6]
    expected = np.einsum("hwc,hwco->o", patch, first.kernel) + first.bias

    np.testing.assert_allclose(expected, made[0, :, 3, 4], rtol=1e-3, atol=1e-4)


def nested(levels: int) -> bytes:
    """A graph of operations ``If`` inside each other, in about 100 bytes a level."""
    helper = onnx.helper
    made = [helper.make_tensor_value_info("o", 1, None)]
    inner = helper.make_graph([helper.make_node("Identity", ["x"], ["o"])], "leaf", [], made)
    leaf = inner
    for _ in range(levels):
        branch = helper.make_node("If", ["c"], ["o"], then_branch=inner, else_branch=leaf)
        inner = helper.make_graph([branch], "level", [], made)
    return classifier_around(inner.node[0])


def classifier_around(*nodes: object, functions: tuple[object, ...] = ()) -> bytes:
    helper = onnx.helper
    end = [
        helper.make_node("GlobalAveragePool", ["o"], ["p"]),
        helper.make_node("Flatten", ["p"], ["scores"]),
    ]
    graph = helper.make_graph(
        [*nodes, *end],
        "g",
        [helper.make_tensor_value_info("x", 1, ["n", 3, 32, 32])],
        [helper.make_tensor_value_info("scores", 1, ["n", 3])],
        [onnx.numpy_helper.from_array(np.ones((), bool), "c")],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_model(
        graph, opset_imports=opsets, functions=list(functions)
    ).SerializeToString()


def test_graphs_nested_many_levels_deep_are_refused(described):
    """Engines read each level twice as often as the one above: twenty took OpenVINO a minute."""
    with pytest.raises(ModelFileTooLarge, match="deeper than 8"):
        described(nested(9))


def test_graphs_nested_a_few_levels_deep_are_read(described):
    """As loops within conditions are."""
    assert 3 == described(nested(2)).output.classes


def doubling(number: int, called: str) -> object:
    helper = onnx.helper
    nodes = [helper.make_node(called, [a], [b], domain="own") for a, b in ("am", "mz")]
    return helper.make_function(
        "own", f"F{number}", ["a"], ["z"], nodes, [helper.make_opsetid("own", 1)]
    )


def test_functions_that_double_at_each_call_are_refused(described):
    """Thirty functions of two calls are a thousand million operations when inlined."""
    functions = tuple(doubling(number, f"F{number + 1}") for number in range(30))
    start = onnx.helper.make_node("F0", ["x"], ["o"], domain="own")
    with pytest.raises(ModelFileTooLarge, match="functions come to more than"):
        described(classifier_around(start, functions=functions))


def test_a_function_that_calls_itself_is_refused(described):
    """It could never be inlined."""
    start = onnx.helper.make_node("F0", ["x"], ["o"], domain="own")
    with pytest.raises(ModelFileDamaged, match="calls itself"):
        described(classifier_around(start, functions=(doubling(0, "F0"),)))


def test_an_operation_without_a_name_is_told_by_what_it_makes(described):
    """PyTorch names its operations, other writers do not."""
    start = onnx.helper.make_node("PyOp", ["x"], ["o"])
    with pytest.raises(UnsafeModel, match=r"operation 'o' \(PyOp\)"):
        described(classifier_around(start))
