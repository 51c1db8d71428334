"""SavedModels of TensorFlow 1 and 2, Keras 2 and 3: read as data, run as TensorFlow runs."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from tintype.errors import (
    ModelFileDamaged,
    ModelFileError,
    ModelFileTooLarge,
    NotAnImageModel,
    UnsupportedModel,
)
from tintype.modelfiles.description import ReadOptions
from tintype.modelfiles.tensorflow.saved_model import describe_saved_model
from tintype.types import Activation, DetectionOutput, Format

tf = pytest.importorskip("tensorflow", reason="the reference framework is not installed")
keras = pytest.importorskip("keras", reason="the reference framework is not installed")
tf_keras = pytest.importorskip("tf_keras", reason="the reference framework is not installed")
v1 = tf.compat.v1

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

RANDOM = np.random.default_rng(11)
TOLERANCE = 1e-5


def weights(*shape):
    return (RANDOM.normal(size=shape) * 0.3).astype(np.float32)


def pictures(rows=3):
    return RANDOM.uniform(0, 1, (rows, 24, 24, 3)).astype(np.float32)


def layers_of(library):
    """The same small network in Keras 2 and 3."""
    layers = library.layers
    return [
        library.Input((24, 24, 3)),
        layers.Conv2D(6, 3, strides=2, name="first"),
        layers.BatchNormalization(name="norm"),
        layers.ReLU(max_value=6.0),
        layers.GlobalAveragePooling2D(),
        layers.Dropout(0.5),
        layers.Dense(4, activation="softmax"),
    ]


def network(library):
    model = library.Sequential(layers_of(library), name="sequential")
    for variable in model.weights:  # untrained moments are zeros and ones, which prove little
        variable.assign(np.abs(weights(*variable.shape)) + 0.1)
    return model


def describe(folder, **options):
    return describe_saved_model(folder, options=ReadOptions(**options))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("saved")


@pytest.fixture(scope="module")
def keras_2(folder):
    model = network(tf_keras)
    model.save(folder / "keras2")
    return SimpleNamespace(path=folder / "keras2", model=model)


@pytest.fixture(scope="module")
def keras_3(folder):
    model = network(keras)
    model.export(folder / "keras3", verbose=False)
    return SimpleNamespace(path=folder / "keras3", model=model)


@pytest.fixture(scope="module")
def tensorflow_1(folder):
    """Reference variables, two signatures without a default, tag ``serve``."""
    path = folder / "tf1"
    batch = pictures()
    graph = tf.Graph()
    with graph.as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 24, 24, 3], name="x")
        kernel = v1.get_variable("kernel", initializer=weights(3, 3, 3, 8), use_resource=False)
        dense = v1.get_variable("dense", initializer=weights(8, 5), use_resource=True)
        out = tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(x, kernel, 2, "SAME")), [1, 2])
        logits = tf.matmul(out, dense, name="logits")
        scores = tf.nn.softmax(logits, name="scores")
        best = tf.argmax(scores, 1)
        session.run(v1.global_variables_initializer())
        define = v1.saved_model.predict_signature_def
        builder = v1.saved_model.Builder(str(path))
        signatures = {
            "predict_images": define({"images": x}, {"classes": best, "probabilities": scores}),
            "raw": define({"images": x}, {"logits": logits}),
        }
        builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=signatures)
        builder.save()
        answers = session.run({"scores": scores, "logits": logits, "kernel": kernel}, {x: batch})
    return SimpleNamespace(path=path, batch=batch, **answers)


@pytest.fixture(scope="module")
def several(folder):
    """A default signature of encoded pictures, beside one of pixels and one of raw numbers."""
    model = network(keras)

    class Served(tf.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="contents")])
        def encoded(self, contents):
            def one(each):
                return tf.image.resize(tf.io.decode_jpeg(each, 3), [24, 24])

            pixels = tf.map_fn(one, contents, fn_output_signature=tf.float32)
            return {"scores": self.model(pixels, training=False)}

        @tf.function(input_signature=[tf.TensorSpec([None, 24, 24, 3], tf.float32, name="image")])
        def pixels(self, image):
            return {"scores": self.model(image, training=False)}

        @tf.function(input_signature=[tf.TensorSpec([None, 24, 24, 3], tf.float32, name="image")])
        def doubled(self, image):
            return {"scores": self.model(image, training=False) * 2.0}

    served = Served()
    path = folder / "several"
    signatures = {
        "serving_default": served.encoded,
        "images": served.pixels,
        "doubled": served.doubled,
    }
    tf.saved_model.save(served, str(path), signatures=signatures)
    return SimpleNamespace(path=path, model=model)


def test_keras_2_runs_as_in_keras(keras_2, run):
    """``model.save(folder)`` of Keras 2 answers as Keras does."""
    batch = pictures()
    (actual,) = run(describe(keras_2.path).graph, batch)
    np.testing.assert_allclose(keras_2.model(batch), actual, atol=TOLERANCE)


def test_keras_3_runs_as_in_keras(keras_3, run):
    """``model.export(folder)`` of Keras 3 answers as Keras does."""
    batch = pictures()
    (actual,) = run(describe(keras_3.path).graph, batch)
    np.testing.assert_allclose(keras_3.model(batch), actual, atol=TOLERANCE)


@pytest.mark.parametrize("which", ["keras_2", "keras_3"])
def test_keras_export_is_told(which, request):
    """Ends, size, activation, source and writer are found without TensorFlow."""
    found = describe(request.getfixturevalue(which).path)
    assert found.format is Format.TF_SAVED_MODEL
    assert (found.image.height, found.image.width, found.image.batch) == (24, 24, None)
    assert found.output.classes == 4
    assert found.output.activation is Activation.SOFTMAX
    assert found.evidence.source == "keras"
    assert found.writer == f"TensorFlow {tf.__version__}"


@pytest.mark.parametrize("which", ["keras_2", "keras_3", "several"])
def test_first_layers_come_out_of_the_checkpoint(which, request):
    """Kernel, bias and moments are the very values of the trained model."""
    model = request.getfixturevalue(which)
    options = {"signature": "images"} if which == "several" else {}
    first = describe(model.path, **options).evidence.first_layers
    kernel, bias = model.model.layers[0].get_weights()
    _, _, mean, variance = model.model.layers[1].get_weights()
    np.testing.assert_array_equal(kernel, first.kernel)
    np.testing.assert_array_equal(bias, first.bias)
    np.testing.assert_array_equal(mean, first.mean)
    np.testing.assert_array_equal(variance, first.variance)
    assert first.epsilon == pytest.approx(1e-3)


def test_names_are_told_without_their_calls(keras_2):
    """Layers are called as the author called them."""
    found = describe(keras_2.path)
    assert found.layers[0].name == "sequential/first/Conv2D"
    assert "StatefulPartitionedCall" not in found.evidence.first_layers.where


def test_path_of_the_file_means_its_folder(keras_3):
    """``saved_model.pb`` stands for the folder around it."""
    assert describe(keras_3.path / "saved_model.pb").graph.source == keras_3.path


def test_tensorflow_1_runs_as_in_tensorflow(tensorflow_1, run):
    """A SavedModel of TensorFlow 1 with variables answers as its session did."""
    found = describe(tensorflow_1.path)
    (actual,) = run(found.graph, tensorflow_1.batch)
    np.testing.assert_allclose(tensorflow_1.scores, actual, atol=TOLERANCE)


def test_scores_are_preferred_to_the_best_class(tensorflow_1):
    """Of ``classes`` and ``probabilities``, the row of numbers is read."""
    found = describe(tensorflow_1.path)
    assert [output.name for output in found.graph.outputs] == ["scores:0"]
    assert "the output is 'probabilities'" in found.notes[1]


def test_reference_variables_are_read(tensorflow_1):
    """TensorFlow 1 keeps kernels under the variable's own name."""
    first = describe(tensorflow_1.path).evidence.first_layers
    np.testing.assert_array_equal(tensorflow_1.kernel, first.kernel)


def test_signature_can_be_given(tensorflow_1, run):
    """``--signature`` takes another signature of the same graph, and the engine follows."""
    found = describe(tensorflow_1.path, signature="raw")
    assert found.output.activation is Activation.LOGITS
    (actual,) = run(found.graph, tensorflow_1.batch)
    np.testing.assert_allclose(tensorflow_1.logits, actual, atol=TOLERANCE)


def test_output_can_be_given(tensorflow_1, run):
    """``--output`` reads a tensor that the signature does not name."""
    found = describe(tensorflow_1.path, signature="predict_images", output="logits")
    (actual,) = run(found.graph, tensorflow_1.batch)
    np.testing.assert_allclose(tensorflow_1.logits, actual, atol=TOLERANCE)


def test_unknown_signature_names_those_there_are(tensorflow_1):
    """A wrong name is answered with the right ones."""
    with pytest.raises(ModelFileError, match="'predict_images', 'raw'"):
        describe(tensorflow_1.path, signature="serving_default")


@pytest.mark.parametrize("options", [{"input": "imagez"}, {"output": "probability"}])
def test_unknown_ends_name_those_there_are(tensorflow_1, options):
    """So is a wrong input or output."""
    with pytest.raises(ModelFileError, match=r"nearest are '(images|probabilities)"):
        describe(tensorflow_1.path, signature="predict_images", **options)


def test_signature_of_pixels_is_preferred_to_an_encoded_default(several):
    """Where the default takes encoded pictures, another signature takes pixels: and it is said."""
    found = describe(several.path)
    assert "'serving_default' does not" in found.notes[0]
    assert found.image.tensor.dtype == "float32"


def test_other_signature_runs_as_in_tensorflow(several, run):
    """A signature beside the default is run, not the default."""
    batch = pictures()
    for signature, factor in (("images", 1), ("doubled", 2)):
        (actual,) = run(describe(several.path, signature=signature).graph, batch)
        np.testing.assert_allclose(several.model(batch) * factor, actual, atol=TOLERANCE)


def test_decoding_inside_a_function_is_refused_with_a_way_out(several):
    """The graph cannot be entered there; the signature that can is named."""
    with pytest.raises(UnsupportedModel, match="inside a function") as caught:
        describe(several.path, signature="serving_default")
    assert caught.value.hint in {"use --signature images", "use --signature doubled"}


def test_decoding_in_a_loop_is_fed_behind_it(folder, run):
    """TensorFlow 1's map over encoded pictures is entered where its batch comes out."""
    path = folder / "looped"
    encoded = [tf.io.encode_jpeg(RANDOM.integers(0, 255, (30, 40, 3)).astype("u1")).numpy()]
    v1.disable_control_flow_v2()
    with tf.Graph().as_default(), v1.Session() as session:
        contents = v1.placeholder(tf.string, [None], name="contents")

        def one(each):
            pixels = tf.cast(tf.io.decode_jpeg(each, channels=3), tf.float32)
            return tf.squeeze(v1.image.resize_bilinear(pixels[None], [24, 24]), [0])

        pixels = tf.map_fn(one, contents, dtype=tf.float32)
        kernel = v1.get_variable("kernel", initializer=weights(3, 3, 3, 5), use_resource=False)
        out = tf.reduce_mean(tf.nn.conv2d(pixels / 255.0, kernel, 2, "SAME"), [1, 2])
        scores = tf.nn.softmax(out)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(path), {"bytes": contents}, {"scores": scores})
        fed, expected = session.run([pixels, scores], {contents: encoded})
    found = describe(path)
    assert found.image.tensor.shape == (None, 24, 24, 3)
    assert found.evidence.encoded_input
    assert (found.evidence.resize.kind, found.evidence.resize.cut) == ("tf1 bilinear", True)
    (actual,) = run(found.graph, fed)
    np.testing.assert_allclose(expected, actual, atol=TOLERANCE)


def test_detector_of_tensorflow_2(folder, run):
    """A detector as the TF Object Detection API of TensorFlow 2 exports it: loops in functions."""

    class Detector(tf.Module):
        def __init__(self):
            super().__init__()
            self.kernel = tf.Variable(weights(3, 3, 3, 8))

        @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8, name="pixels")])
        def detect(self, pixels):
            resized = tf.map_fn(
                lambda one: tf.image.resize(one, [32, 32]),
                tf.cast(pixels, tf.float32),
                fn_output_signature=tf.float32,
            )
            out = tf.nn.conv2d(resized / 255.0, self.kernel, 4, "SAME")
            boxes, scores = tf.split(tf.sigmoid(tf.reshape(out, [-1, 64, 8])), 2, axis=2)
            found = tf.map_fn(kept, (boxes, scores), fn_output_signature=(tf.float32,) * 4)
            labels = ("boxes", "classes", "scores")
            answer = {
                f"detection_{label}": each for label, each in zip(labels, found, strict=False)
            }
            return answer | {"num_detections": found[3], "raw_detection_boxes": boxes}

    def kept(boxes_and_scores):
        boxes, scores = boxes_and_scores
        best, label = tf.reduce_max(scores, 1), tf.cast(tf.argmax(scores, 1), tf.float32) + 1
        order, score, count = tf.raw_ops.NonMaxSuppressionV5(
            boxes=boxes, scores=best, max_output_size=10, iou_threshold=0.5, score_threshold=0.2,
            soft_nms_sigma=0.0, pad_to_max_output_size=True,
        )  # fmt: skip
        found = (tf.gather(boxes, order), tf.gather(label, order), score)
        return (*found, tf.cast(count, tf.float32))

    detector = Detector()
    path = folder / "detector"
    tf.saved_model.save(detector, str(path), signatures=detector.detect)
    found = describe(path)
    batch = RANDOM.integers(0, 255, (1, 40, 50, 3)).astype(np.uint8)
    expected = detector.detect(batch)
    assert isinstance(found.output, DetectionOutput)
    names = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")
    for name, actual in zip(names, run(found.graph, batch), strict=True):
        np.testing.assert_allclose(expected[name], actual, atol=TOLERANCE)


def test_model_without_signatures_is_refused(folder):
    """A bare module says nowhere how it is called."""
    tf.saved_model.save(tf.Module(), str(folder / "bare"))
    with pytest.raises(NotAnImageModel, match="no signature"):
        describe(folder / "bare")


def test_a_model_that_changes_pictures_at_random_is_refused(folder):
    """Keras 3 exports its augmentation layers switched on: no two answers would be the same."""
    flip = keras.layers.RandomFlip("horizontal")
    model = keras.Sequential([*layers_of(keras)[:1], flip, *layers_of(keras)[1:]])
    model.export(folder / "augmented", verbose=False)
    with pytest.raises(UnsupportedModel, match="at random") as caught:
        describe(folder / "augmented")
    assert ".keras" in (caught.value.hint or "")


def test_series_model_is_refused_by_input(folder):
    """A forecast of prices is named with its input's shape."""
    model = keras.Sequential([keras.Input((60, 1)), keras.layers.LSTM(3), keras.layers.Dense(1)])
    model.export(folder / "series", verbose=False)
    with pytest.raises(NotAnImageModel, match="any x 60 x 1"):
        describe(folder / "series")


@pytest.fixture
def broken(keras_3, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(keras_3.path, tmp_path / "copy")


def test_missing_variables_are_told(broken):
    """``saved_model.pb`` alone is not the model."""
    shutil.rmtree(broken / "variables")
    with pytest.raises(ModelFileDamaged, match="variables"):
        describe(broken)


def test_missing_data_file_is_told(broken):
    """Nor is the index without its data."""
    (broken / "variables" / "variables.data-00000-of-00001").unlink()
    with pytest.raises(ModelFileDamaged, match="data-00000-of-00001 is missing"):
        describe(broken)


@pytest.mark.parametrize(
    "name",
    ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"],
)
def test_truncated_files_are_told(broken, name):
    """Each of the three files, cut short, is damage."""
    content = (broken / name).read_bytes()
    (broken / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelFileDamaged):
        describe(broken)


def test_limit_covers_variables(keras_3):
    """``max_bytes`` holds for every file and for what the variables declare together."""
    with pytest.raises(ModelFileTooLarge):
        describe(keras_3.path, max_bytes=100)
