from __future__ import annotations

import numpy as np
import pytest

from tintype.errors import (
    ModelFileDamaged,
    ModelFileTooLarge,
    NotAnImageModel,
    UnsupportedModel,
)
from tintype.modelfiles.description import ReadOptions
from tintype.modelfiles.tflite.describe import describe_tflite
from tintype.modelfiles.tflite.model import parse_model
from tintype.types import Activation, ClassOutput, DetectionOutput, Layout, Quantisation

OPTIONS = ReadOptions()
CONV, SOFTMAX, LOGISTIC, RESHAPE, MUL, SUB, DEQUANTIZE, LSTM = 3, 25, 14, 22, 18, 41, 6, 16
INT32, UINT8, INT8, INT64, FLOAT16 = 2, 3, 9, 4, 1


@pytest.fixture
def described(write):
    """Describe bytes as a file of the test's own."""
    return lambda content, **kw: describe_tflite(
        write("m.tflite", content), options=ReadOptions(**kw)
    )


def classifier(maker, *, shape=(1, 8, 8, 3), kind=0, quantised=None, closing=SOFTMAX):
    """One convolution and a closing operator over 4 classes."""
    picture = maker.tensor("pixels", shape, kind, quantised=quantised)
    kernel = maker.tensor("k", [4, 3, 3, 3], data=np.ones((4, 3, 3, 3), np.float32))
    made = maker.tensor("made", [1, 4])
    scores = maker.tensor("scores", [1, 4])
    maker.operator(CONV, [picture, kernel], [made])
    maker.operator(closing, [made], [scores])
    return maker.build([picture], [scores])


def test_a_classifier_is_described(described, small_tflite):
    """Input, layout, free batch, output, activation and writer are told."""
    found = described(small_tflite)

    assert (Layout.NHWC, 8, 8, 3, None) == (
        found.image.layout,
        found.image.height,
        found.image.width,
        found.image.channels,
        found.image.batch,
    )
    assert isinstance(found.output, ClassOutput)
    assert (4, Activation.SOFTMAX) == (found.output.classes, found.output.activation)
    assert found.writer == "made by a test"
    assert found.operations[0] == "conv/Relu6 (CONV_2D)"
    assert found.graph.litert_only == ()


def test_the_first_convolution_is_told(described, small_tflite):
    """Its kernel comes as kh x kw x cin x cout, with bias and the fused relu6."""
    first = described(small_tflite).evidence.first_layers
    stored = np.random.default_rng(7).normal(size=(4, 3, 3, 3)).astype(np.float32)

    assert first is not None
    np.testing.assert_array_equal(stored[1, 2, 0, 2], first.kernel[2, 0, 2, 1])
    np.testing.assert_array_equal(np.arange(4, dtype=np.float32), first.bias)
    assert (True, 6.0) == (first.rectified, first.ceiling)
    assert first.mean is None


@pytest.mark.parametrize(
    ("closing", "activation"),
    [(SOFTMAX, Activation.SOFTMAX), (LOGISTIC, Activation.SIGMOID), (MUL, Activation.LOGITS)],
)
def test_the_closing_operator_tells_the_activation(described, tflite, closing, activation):
    """Softmax, sigmoid, or neither."""
    output = described(classifier(tflite, closing=closing)).output

    assert isinstance(output, ClassOutput)
    assert activation is output.activation


def test_a_fixed_batch_is_reported(described, tflite):
    """Without a signature the batch is what the shape says."""
    assert described(classifier(tflite, shape=[4, 8, 8, 3])).image.batch == 4


@pytest.mark.parametrize(("kind", "dtype", "point"), [(UINT8, "uint8", 128), (INT8, "int8", -1)])
def test_quantisation_of_the_input_is_told(described, tflite, kind, dtype, point):
    """Scale and zero point of an integer input, for the imaging side to store pixels by."""
    found = described(classifier(tflite, kind=kind, quantised=([0.0078125], [point])))

    assert dtype == found.image.tensor.dtype
    assert Quantisation(scale=0.0078125, zero_point=point) == found.image.tensor.quantisation


def test_scaling_inside_the_graph_is_told(described, tflite):
    """MUL and SUB before the convolution are added up to one scale and offset."""
    picture = tflite.tensor("pixels", [1, 8, 8, 3])
    factor = tflite.tensor("f", [1], data=np.float32([1 / 127.5]))
    one = tflite.tensor("one", [1, 1, 1, 3], data=np.ones((1, 1, 1, 3), np.float32))
    kernel = tflite.tensor("k", [4, 3, 3, 3], data=np.ones((4, 3, 3, 3), np.float32))
    steps = [tflite.tensor(name, [1, 8, 8, 3]) for name in ("scaled", "centred")]
    made, scores = tflite.tensor("made", [1, 4]), tflite.tensor("scores", [1, 4])
    tflite.operator(MUL, [picture, factor], [steps[0]])
    tflite.operator(SUB, [steps[0], one], [steps[1]])
    tflite.operator(CONV, [steps[1], kernel], [made])
    tflite.operator(SOFTMAX, [made], [scores])
    affine = described(tflite.build([picture], [scores])).evidence.affine

    assert affine is not None
    np.testing.assert_allclose(affine.scale, [1 / 127.5] * 3, rtol=1e-6)
    assert affine.offset == (-1.0, -1.0, -1.0)
    assert affine.where == "scaled, centred"


@pytest.mark.parametrize(("centred", "kind"), [(1, "tf2 bilinear"), (0, "tf1 bilinear")])
def test_a_resize_inside_is_told_where_any_size_goes_in(described, tflite, scalar, centred, kind):
    """Pictures of any size are resized by the graph itself."""
    picture = tflite.tensor("pixels", [1, 1, 1, 3], signature=[-1, -1, -1, 3])
    size = tflite.tensor("size", [2], INT32, data=np.array([24, 32], np.int32))
    kernel = tflite.tensor("k", [4, 3, 3, 3], data=np.ones((4, 3, 3, 3), np.float32))
    small, made = tflite.tensor("small", [1, 24, 32, 3]), tflite.tensor("made", [1, 4])
    options = {2: scalar("u8", 0), 3: scalar("u8", centred)}
    tflite.operator(23, [picture, size], [small], options=options)
    tflite.operator(CONV, [small, kernel], [made])
    found = described(tflite.build([picture], [made]))

    assert found.image.height is None
    resize = found.evidence.resize
    assert resize is not None
    assert (24, 32, kind) == (resize.height, resize.width, resize.kind)
    assert found.evidence.first_layers is not None


def test_half_precision_weights_are_unpacked(described, tflite):
    """float16 weights behind DEQUANTIZE are read as what they stand for."""
    picture = tflite.tensor("pixels", [1, 8, 8, 3])
    half = tflite.tensor("h", [4, 3, 3, 3], FLOAT16, data=np.full((4, 3, 3, 3), 0.5, np.float16))
    kernel = tflite.tensor("k", [4, 3, 3, 3])
    made, scores = tflite.tensor("made", [1, 4]), tflite.tensor("scores", [1, 4])
    tflite.operator(DEQUANTIZE, [half], [kernel])
    tflite.operator(CONV, [picture, kernel], [made])
    tflite.operator(SOFTMAX, [made], [scores])
    first = described(tflite.build([picture], [scores])).evidence.first_layers

    assert first is not None
    assert first.kernel[0, 0, 0, 0] == 0.5


def test_eight_bit_weights_are_unpacked_a_channel(described, tflite):
    """int8 weights are multiplied with the scale of their output channel."""
    picture = tflite.tensor("pixels", [1, 8, 8, 3])
    stored = np.full((4, 3, 3, 3), 10, np.int8)
    scales = ([0.1, 0.2, 0.3, 0.4], [0, 0, 0, 0])
    kernel = tflite.tensor("k", [4, 3, 3, 3], INT8, data=stored, quantised=scales)
    made, scores = tflite.tensor("made", [1, 4]), tflite.tensor("scores", [1, 4])
    tflite.operator(CONV, [picture, kernel], [made])
    tflite.operator(SOFTMAX, [made], [scores])
    first = described(tflite.build([picture], [scores])).evidence.first_layers

    assert first is not None
    np.testing.assert_allclose(first.kernel[0, 0, 0], [1.0, 2.0, 3.0, 4.0], rtol=1e-6)


def detector(maker, name="TFLite_Detection_PostProcess"):
    picture = maker.tensor("pixels", [1, 8, 8, 3], UINT8, quantised=([1.0], [0]))
    parts = [maker.tensor(f"out:{place}", []) for place in range(4)]
    maker.operator(name, [picture], parts)
    # Converters may list the outputs in another order than the operator makes them.
    return maker.build([picture], [parts[2], parts[0], parts[3], parts[1]])


def test_a_detector_is_known_by_its_operator(described, tflite):
    """Boxes, classes, scores and count are told by the operator's own order of outputs."""
    found = described(detector(tflite))

    assert isinstance(found.output, DetectionOutput)
    assert ("out:0", "out:1", "out:2") == (
        found.output.boxes.name,
        found.output.classes.name,
        found.output.scores.name,
    )
    assert found.output.count is not None
    assert found.output.count.name == "out:3"
    assert found.output.first_class == 0
    assert found.graph.litert_only == ("TFLite_Detection_PostProcess",)
    assert found.image.batch == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("edgetpu-custom-op", "Edge TPU"),
        ("FlexErf", "TensorFlow itself for its operation Erf"),
        ("MyOwn", "custom operator 'MyOwn'"),
    ],
)
def test_operators_nobody_here_has_are_refused(described, tflite, name, said):
    """A file that no engine here can run is refused with what it needs."""
    with pytest.raises(UnsupportedModel, match=said):
        described(detector(tflite, name))


def test_a_series_of_prices_is_no_picture(described, tflite):
    """An LSTM on [1, 60, 1] is refused by naming its input."""
    prices = tflite.tensor("prices", [1, 60, 1])
    answer = tflite.tensor("answer", [1, 1])
    tflite.operator(LSTM, [prices], [answer])
    with pytest.raises(NotAnImageModel, match=r"'prices' \[1, 60, 1\] float32"):
        described(tflite.build([prices], [answer]))


def test_text_is_no_picture(described, tflite):
    """int64 token ids are refused by naming their input."""
    ids = tflite.tensor("ids", [1, 128], INT64)
    answer = tflite.tensor("answer", [1, 2])
    tflite.operator(SOFTMAX, [ids], [answer])
    with pytest.raises(NotAnImageModel, match="'ids'"):
        described(tflite.build([ids], [answer]))


def test_a_second_input_is_refused(described, tflite):
    """A picture and a table at once cannot be fed."""
    picture, age = tflite.tensor("pixels", [1, 8, 8, 3]), tflite.tensor("age", [1, 1])
    answer = tflite.tensor("answer", [1, 2])
    tflite.operator(SOFTMAX, [picture, age], [answer])
    with pytest.raises(NotAnImageModel, match="2 inputs at once"):
        described(tflite.build([picture, age], [answer]))


def test_a_small_file_with_huge_tensors_is_refused(described, tflite):
    """4 TB of declared pixels are refused by adding up, not by trying."""
    picture = tflite.tensor("pixels", [1, 1 << 20, 1 << 20, 3])
    answer = tflite.tensor("answer", [1, 2])
    tflite.operator(SOFTMAX, [picture], [answer])
    with pytest.raises(ModelFileTooLarge, match="'pixels'"):
        described(tflite.build([picture], [answer]))


def test_weights_of_another_size_are_damaged(described, tflite):
    """Stored bytes must be as many as shape and dtype say."""
    picture = tflite.tensor("pixels", [1, 8, 8, 3])
    kernel = tflite.tensor("k", [4, 3, 3, 3], data=np.ones(5, np.float32))
    answer = tflite.tensor("answer", [1, 2])
    tflite.operator(CONV, [picture, kernel], [answer])
    with pytest.raises(ModelFileDamaged, match="needs 432 bytes, 20 are stored"):
        described(tflite.build([picture], [answer]))


def test_an_operator_on_a_tensor_that_is_not_there_is_damaged(described, tflite):
    """Indices are checked."""
    picture = tflite.tensor("pixels", [1, 8, 8, 3])
    tflite.operator(SOFTMAX, [picture, 99], [picture])
    with pytest.raises(ModelFileDamaged, match="beyond the 1 it holds"):
        described(tflite.build([picture], [picture]))


@pytest.fixture
def with_metadata(tflite, encode_flatbuffer, scalar, zipped):
    """Bytes of a classifier whose metadata tells a normalisation and names a labels file."""

    def make(*, mean=(127.5,), std=(127.5,), files=None):
        options = {0: np.array(mean, np.float32), 1: np.array(std, np.float32)}
        entry = {0: "image", 4: [{0: scalar("u8", 1), 1: options}]}
        labels = {0: "names.txt", 2: scalar("i8", 2)}
        graph = {2: [entry], 3: [{0: "probability", 6: [labels]}]}
        about = {0: "Pets", 2: "v3", 3: [graph]}
        tflite.about("TFLITE_METADATA", encode_flatbuffer(about, b"M001"))
        tflite.about("min_runtime_version", b"1.5.0\0\0\0")
        return classifier(tflite) + zipped(files or {"names.txt": b"a\nb\nc\nd\n"})

    return make


def test_metadata_gives_normalisation_and_labels(described, with_metadata):
    """One number counts for all channels; labels lie in the archive behind the model."""
    found = described(with_metadata())

    assert found.evidence.normalisation is not None
    assert found.evidence.normalisation.mean == (127.5, 127.5, 127.5)
    assert found.evidence.normalisation.std == (127.5, 127.5, 127.5)
    assert found.labels_in_file == ("a", "b", "c", "d")
    assert found.writer == "made by a test, for runtime 1.5.0 or later, model Pets v3"


def test_the_file_the_metadata_names_goes_before_others(described, with_metadata):
    """A second file called labels does not win over the one that is told."""
    found = described(with_metadata(files={"labels.txt": b"x\n", "names.txt": b"a\nb\n"}))

    assert found.labels_in_file == ("a", "b")


def test_labels_of_the_chosen_output_go_before_those_of_another(
    described, tflite, encode_flatbuffer, scalar, zipped
):
    """Two outputs with a list each: --output decides which list counts."""
    picture = tflite.tensor("pixels", [1, 8, 8, 3])
    made = [tflite.tensor(name, [1, 2]) for name in ("species", "colour")]
    for tensor in made:
        tflite.operator(SOFTMAX, [picture], [tensor])
    told = [{6: [{0: f"{name}.txt", 2: scalar("i8", 2)}]} for name in ("species", "colour")]
    tflite.about("TFLITE_METADATA", encode_flatbuffer({3: [{3: told}]}, b"M001"))
    archive = zipped({"species.txt": b"cat\ndog\n", "colour.txt": b"black\nwhite\n"})
    content = tflite.build([picture], made) + archive

    assert described(content, output="species").labels_in_file == ("cat", "dog")
    assert described(content, output="colour").labels_in_file == ("black", "white")


@pytest.mark.parametrize(("mean", "std"), [((1, 2), (1, 2)), ((1,), (0,)), ((np.nan,), (1,))])
def test_a_normalisation_that_makes_no_sense_is_left_out(described, with_metadata, mean, std):
    """Two numbers for three channels, a division by zero, no number."""
    assert described(with_metadata(mean=mean, std=std)).evidence.normalisation is None


def test_a_bomb_behind_the_model_is_left_out(described, with_metadata):
    """A labels file of more than 8 MiB is not unpacked; the model is fine without it."""
    found = described(with_metadata(files={"names.txt": b"a\n" * (5 << 20)}))

    assert found.labels_in_file is None


REAL = ("imagenet-mobilenet-v1-float", "imagenet-mobilenet-v2-quant", "coco-ssd")


@pytest.mark.parametrize("name", REAL)
def test_real_files_are_read_as_litert_reads_them(data_folder, name):
    """Name, shape, dtype and quantisation of every tensor equal those of the real interpreter."""
    litert = pytest.importorskip("ai_edge_litert.interpreter", reason="the reference is absent")
    path = data_folder / "models" / name / "model.tflite"
    model = parse_model(path.read_bytes(), max_bytes=1 << 30)
    reference = litert.Interpreter(model_path=str(path)).get_tensor_details()

    for entry in reference[: len(model.tensors)]:
        tensor = model.tensors[entry["index"]]
        assert entry["name"] == tensor.name
        assert entry["shape"].tolist() == list(tensor.shape)
        assert np.dtype(entry["dtype"]).name == tensor.dtype
        told = entry["quantization_parameters"]["scales"]
        np.testing.assert_array_equal(told, tensor.scales)


def test_the_real_float_classifier(data_folder):
    """Labels and normalisation come out of the file's own metadata."""
    found = describe_tflite(data_folder / "models" / REAL[0] / "model.tflite", options=OPTIONS)

    assert found.labels_in_file is not None
    assert (1001, "background", "cheeseburger") == (
        len(found.labels_in_file),
        found.labels_in_file[0],
        found.labels_in_file[934],
    )
    assert found.evidence.normalisation is not None
    assert found.evidence.normalisation.mean == (127.5, 127.5, 127.5)
    assert found.evidence.backbone == "mobilenetv1"
    assert isinstance(found.output, ClassOutput)
    assert found.output.activation is Activation.SOFTMAX


@pytest.mark.filterwarnings("ignore:.*experimental_preserve_all_tensors.*:UserWarning")
def test_the_real_first_convolution_computes_what_litert_computes(data_folder):
    """Kernel, bias and ceiling applied by hand equal the interpreter's own first layer."""
    litert = pytest.importorskip("ai_edge_litert.interpreter", reason="the reference is absent")
    path = data_folder / "models" / REAL[0] / "model.tflite"
    first = describe_tflite(path, options=OPTIONS).evidence.first_layers
    assert first is not None
    interpreter = litert.Interpreter(model_path=str(path), experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    pixels = np.random.default_rng(3).uniform(-1, 1, (1, 224, 224, 3)).astype(np.float32)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels)
    interpreter.invoke()
    made = interpreter.get_tensor(interpreter._get_ops_details()[0]["outputs"][0])
    linear = np.einsum("hwc,hwco->o", pixels[0, 20:23, 40:43], first.kernel) + first.bias

    assert first.ceiling == 6.0
    np.testing.assert_allclose(np.clip(linear, 0, 6), made[0, 10, 20], atol=1e-4)


def test_the_real_quantised_classifier(data_folder):
    """uint8 in and out, each with its quantisation."""
    found = describe_tflite(data_folder / "models" / REAL[1] / "model.tflite", options=OPTIONS)

    assert found.image.tensor.quantisation == Quantisation(scale=1 / 128, zero_point=128)
    assert isinstance(found.output, ClassOutput)
    assert found.output.tensor.quantisation == Quantisation(scale=1 / 256, zero_point=0)
    assert found.evidence.first_layers is not None
    assert found.evidence.first_layers.kernel.shape == (3, 3, 3, 32)


def test_the_real_detector(data_folder):
    """Its labels begin with person, which is class 0."""
    found = describe_tflite(data_folder / "models" / REAL[2] / "model.tflite", options=OPTIONS)

    assert isinstance(found.output, DetectionOutput)
    assert found.output.first_class == 0
    assert found.labels_in_file is not None
    assert (90, "person", "cat", "dog") == (
        len(found.labels_in_file),
        found.labels_in_file[0],
        found.labels_in_file[16],
        found.labels_in_file[17],
    )
    assert len(found.graph.outputs) == 4
