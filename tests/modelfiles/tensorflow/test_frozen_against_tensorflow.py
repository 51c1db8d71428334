"""Frozen graphs written by TensorFlow: what Tintype reads and runs equals TensorFlow's own run."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tintype.modelfiles.description import ReadOptions
from tintype.modelfiles.tensorflow.frozen import describe_frozen_graph
from tintype.types import Activation, DetectionOutput

tf = pytest.importorskip("tensorflow", reason="the reference framework is not installed")
v1 = tf.compat.v1

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

RANDOM = np.random.default_rng(7)
TOLERANCE = 1e-5


def weights(*shape):
    return (RANDOM.normal(size=shape) * 0.3).astype(np.float32)


def classifier(pixels):
    """A convolution, batch normalisation, Relu6, pooling and a dense layer, as TF 1 wrote them."""
    out = tf.nn.conv2d(pixels, v1.constant(weights(3, 3, 3, 8), name="kernel"), 2, "SAME")
    moments = [weights(8), np.abs(weights(8)) + 0.1, weights(8), weights(8) + 1]
    mean, variance, beta, gamma = (v1.constant(each) for each in moments)
    out = tf.nn.batch_normalization(out, mean, variance, beta, gamma, 1e-3, name="batchnorm")
    out = tf.reduce_mean(tf.nn.relu6(out), [1, 2])
    logits = tf.nn.bias_add(tf.matmul(out, weights(8, 5) * 5), weights(5), name="logits")
    tf.nn.softmax(logits, name="final_result")
    return moments


def written(graph, folder, name):
    path = folder / name
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


def tensorflow_runs(path, outputs, feed):
    """TensorFlow's own answer of the same file."""
    definition = v1.GraphDef()
    definition.ParseFromString(path.read_bytes())
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(definition, name="")
        with v1.Session(graph=graph) as session:
            return session.run(list(outputs), feed)


def describe(path):
    return describe_frozen_graph(path, options=ReadOptions())


def names(described):
    return [output.name for output in described.graph.outputs]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("frozen")


@pytest.fixture(scope="module")
def jpeg():
    """The bytes of a smooth picture, 57 x 43."""
    return tf.io.encode_jpeg(
        (np.add.outer(np.arange(43), np.arange(57))[..., None] * [2, 1, 1] % 256).astype(np.uint8)
    ).numpy()


@pytest.fixture(scope="module")
def retrained(folder):
    """DecodeJpeg, Cast, ExpandDims, ResizeBilinear, Sub, Mul, then the network."""
    graph = tf.Graph()
    with graph.as_default():
        contents = v1.placeholder(tf.string, [], name="DecodeJpeg/contents")
        pixels = tf.io.decode_jpeg(contents, channels=3, name="DecodeJpeg")
        pixels = tf.expand_dims(tf.cast(pixels, tf.float32, name="Cast"), 0, name="ExpandDims")
        pixels = v1.image.resize_bilinear(pixels, [32, 32], name="ResizeBilinear")
        pixels = tf.multiply(tf.subtract(pixels, 128.0, name="Sub"), 1 / 128, name="Mul")
        moments = classifier(pixels)
    return SimpleNamespace(path=written(graph, folder, "retrained.pb"), moments=moments)


def test_real_retrained_graph(data_folder, run):
    """The published glasses classifier answers a photo as in TensorFlow."""
    path = data_folder / "models" / "glasses-frozen-graph" / "retrained_graph.pb"
    photo = Image.open(data_folder / "images" / "phone-12mp-a.jpg").resize((224, 224))
    batch = (np.asarray(photo, np.float32)[None] - 127.5) / 127.5
    described = describe(path)
    (expected,) = tensorflow_runs(path, ["final_result:0"], {"input:0": batch})
    (actual,) = run(described.graph, batch)
    np.testing.assert_allclose(expected, actual, atol=TOLERANCE)


def test_real_graph_is_told(data_folder):
    """Its ends, size and backbone are found, and the moments of its first normalisation."""
    described = describe(data_folder / "models" / "glasses-frozen-graph" / "retrained_graph.pb")
    assert described.image.tensor.name == "input:0"
    assert (described.image.height, described.image.width) == (224, 224)
    assert described.output.classes == 2
    assert described.output.activation is Activation.SOFTMAX
    assert described.evidence.backbone == "mobilenetv1"
    assert described.evidence.source == "tf1"
    assert described.evidence.first_layers.kernel.shape == (3, 3, 3, 8)
    assert described.evidence.first_layers.variance.min() > 0


def test_real_graph_takes_any_batch(data_folder, run):
    """Its batch of one is made free, and each row is answered alone."""
    described = describe(data_folder / "models" / "glasses-frozen-graph" / "retrained_graph.pb")
    batch = np.random.default_rng(1).uniform(-1, 1, (3, 224, 224, 3)).astype(np.float32)
    (together,) = run(described.graph, batch)
    alone = np.concatenate([run(described.graph, row[None])[0] for row in batch])
    np.testing.assert_allclose(alone, together, atol=TOLERANCE)


def test_decoding_graph_fed_with_resized_pixels(retrained, jpeg, run):
    """Fed with what its own resize makes, it answers as from the file's bytes."""
    graph = describe(retrained.path).graph
    pixels, expected = tensorflow_runs(
        retrained.path, [graph.input.name, *names(describe(retrained.path))],
        {"DecodeJpeg/contents:0": jpeg},
    )  # fmt: skip
    (actual,) = run(graph, pixels)
    np.testing.assert_allclose(expected, actual, atol=TOLERANCE)


def test_decoding_graph_takes_a_batch(retrained, run):
    """Cut behind its resize, a graph for one picture takes many."""
    batch = RANDOM.uniform(0, 255, (4, 32, 32, 3)).astype(np.float32)
    (actual,) = run(describe(retrained.path).graph, batch)
    assert (4, 5) == actual.shape


def test_moments_of_a_written_out_normalisation(retrained):
    """Mean and variance come out as they went in."""
    first = describe(retrained.path).evidence.first_layers
    np.testing.assert_array_equal(retrained.moments[0], first.mean)
    np.testing.assert_array_equal(retrained.moments[1], first.variance)


def test_frozen_function_of_tensorflow_2(folder, run):
    """A Keras model frozen by TensorFlow 2 is read and run alike, its Rescaling told."""
    keras = pytest.importorskip("keras", reason="the reference framework is not installed")
    from tensorflow.python.framework import convert_to_constants

    model = keras.Sequential([
        keras.Input((24, 24, 3)),
        keras.layers.Rescaling(1 / 127.5, offset=-1),
        keras.layers.Conv2D(6, 3, strides=2),
        keras.layers.BatchNormalization(),
        keras.layers.ReLU(),
        keras.layers.Flatten(),
        keras.layers.Dense(4, activation="softmax"),
    ])  # fmt: skip
    called = tf.function(lambda x: model(x, training=False)).get_concrete_function(
        tf.TensorSpec([None, 24, 24, 3], tf.float32, name="x")
    )
    frozen = convert_to_constants.convert_variables_to_constants_v2(called)
    described = describe(written(frozen.graph, folder, "tf2.pb"))
    batch = RANDOM.uniform(0, 255, (3, 24, 24, 3)).astype(np.float32)
    (actual,) = run(described.graph, batch)
    np.testing.assert_allclose(model(batch), actual, atol=TOLERANCE)
    assert described.evidence.affine.scale == pytest.approx([1 / 127.5] * 3)
    assert described.evidence.affine.offset == pytest.approx([-1] * 3)
    assert described.evidence.source == "keras"


def test_fixed_batch_is_freed_through_reshape(folder, run):
    """A reshape to [1, n] in front of a dense layer does not hold the batch at one."""
    graph = tf.Graph()
    with graph.as_default():
        pixels = v1.placeholder(tf.float32, [1, 16, 16, 3], name="input")
        out = tf.nn.conv2d(pixels, weights(3, 3, 3, 4), 2, "SAME")
        out = tf.matmul(tf.reshape(out, [1, 256]), weights(256, 5))
        tf.nn.softmax(out, name="final_result")
    path = written(graph, folder, "reshape.pb")
    batch = RANDOM.uniform(-1, 1, (3, 16, 16, 3)).astype(np.float32)
    expected = [tensorflow_runs(path, ["final_result:0"], {"input:0": row[None]}) for row in batch]
    (actual,) = run(describe(path).graph, batch)
    np.testing.assert_allclose(np.concatenate(expected, axis=1)[0], actual, atol=TOLERANCE)


def test_batch_that_cannot_be_freed_stays(folder, run):
    """A graph that picks the first picture out of its batch keeps a batch of one."""
    graph = tf.Graph()
    with graph.as_default():
        pixels = v1.placeholder(tf.float32, [1, 16, 16, 3], name="input")
        out = tf.reduce_mean(tf.nn.conv2d(pixels[0:1], weights(3, 3, 3, 4), 2, "SAME"), [1, 2])
        tf.nn.softmax(out, name="final_result")
    path = written(graph, folder, "first.pb")
    described = describe(path)
    assert described.image.batch == 1
    with pytest.raises(RuntimeError, match="shape"):
        run(described.graph, np.zeros((2, 16, 16, 3), np.float32))


def test_dropout_input_is_held(folder, run):
    """``keep_prob`` at 1.0 makes the graph's dropout do nothing."""
    graph = tf.Graph()
    with graph.as_default():
        pixels = v1.placeholder(tf.float32, [None, 8, 8, 3], name="x")
        keep = v1.placeholder(tf.float32, [], name="keep_prob")
        out = v1.nn.dropout(tf.reshape(pixels, [-1, 192]), keep_prob=keep)
        tf.nn.softmax(tf.matmul(out, weights(192, 5)), name="out")
    path = written(graph, folder, "dropout.pb")
    batch = RANDOM.uniform(0, 1, (2, 8, 8, 3)).astype(np.float32)
    (expected,) = tensorflow_runs(path, ["out:0"], {"x:0": batch, "keep_prob:0": 1.0})
    (actual,) = run(describe(path).graph, batch)
    np.testing.assert_allclose(expected, actual, atol=TOLERANCE)


def test_training_switch_is_held(folder, run):
    """A placeholder that chooses between training and use is held at use."""
    graph = tf.Graph()
    v1.disable_control_flow_v2()
    with graph.as_default():
        pixels = v1.placeholder(tf.float32, [None, 8, 8, 3], name="x")
        training = v1.placeholder(tf.bool, [], name="is_training")
        out = tf.reduce_mean(tf.nn.conv2d(pixels, weights(3, 3, 3, 4), 1, "SAME"), [1, 2])
        out = v1.cond(training, lambda: out * 2.0, lambda: out + 1.0)
        tf.nn.softmax(tf.matmul(out, weights(4, 5)), name="out")
    path = written(graph, folder, "switch.pb")
    batch = RANDOM.uniform(0, 1, (2, 8, 8, 3)).astype(np.float32)
    (expected,) = tensorflow_runs(path, ["out:0"], {"x:0": batch, "is_training:0": False})
    (actual,) = run(describe(path).graph, batch)
    np.testing.assert_allclose(expected, actual, atol=TOLERANCE)


def detector(folder):
    """A detector as the TF Object Detection API of TensorFlow 1 exports it: loops and all."""
    graph = tf.Graph()
    v1.disable_control_flow_v2()
    with graph.as_default():
        pixels = tf.cast(
            v1.placeholder(tf.uint8, [None, None, None, 3], name="image_tensor"), "float"
        )
        resized = tf.map_fn(lambda one: v1.image.resize_images(one, [32, 32]), pixels)
        out = tf.nn.conv2d(resized / 255.0, weights(3, 3, 3, 8), 4, "SAME")
        boxes, scores = tf.split(tf.sigmoid(tf.reshape(out, [-1, 64, 8])), 2, axis=2)
        found = tf.map_fn(suppressed, (boxes, scores), dtype=(tf.float32,) * 4)
        labels = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")
        for tensor, label in zip(found, labels, strict=True):
            tf.identity(tensor, name=label)
    return written(graph, folder, "detector.pb")


def suppressed(boxes_and_scores):
    boxes, scores = boxes_and_scores
    rows = []
    for label in range(4):
        kept = tf.image.non_max_suppression(boxes, scores[:, label], 10, 0.5, 0.2)
        score = tf.gather(scores[:, label], kept)
        rows.append((tf.gather(boxes, kept), tf.zeros_like(score) + label + 1, score))
    every = [tf.concat(column, 0) for column in zip(*rows, strict=True)]
    best, order = tf.nn.top_k(every[2], tf.minimum(10, tf.shape(every[2])[0]))
    missing = 10 - tf.shape(best)[0]
    return (
        tf.pad(tf.gather(every[0], order), [[0, missing], [0, 0]]),
        tf.pad(tf.gather(every[1], order), [[0, missing]]),
        tf.pad(best, [[0, missing]]),
        tf.cast(tf.shape(best)[0], tf.float32),
    )


def test_detector_with_loops(folder, run):
    """Boxes, classes, scores and counts of a graph with map_fn and suppression are equal."""
    path = detector(folder)
    described = describe(path)
    assert isinstance(described.output, DetectionOutput)
    batch = RANDOM.integers(0, 255, (1, 40, 50, 3)).astype(np.uint8)
    expected = tensorflow_runs(path, names(described), {"image_tensor:0": batch})
    for theirs, ours in zip(expected, run(described.graph, batch), strict=True):
        np.testing.assert_allclose(theirs, ours, atol=TOLERANCE)
