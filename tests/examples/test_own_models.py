"""The examples with models as the older systems had them, made by the real framework."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")

THEMES = [f"theme {number:02}" for number in range(1, 43)]
POINT = (600, 40)  # so near to the corner that both parts are moved inward


def seen_by(pictures: Path, name: str = "dog.jpg") -> np.ndarray:
    """The picture as TensorFlow decodes it."""
    tf = pytest.importorskip("tensorflow")
    return tf.io.decode_jpeg((pictures / name).read_bytes(), channels=3).numpy()


def resized(pixels: np.ndarray, side: int) -> np.ndarray:
    """As ``image_dataset_from_directory`` does."""
    tf = pytest.importorskip("tensorflow")
    return tf.image.resize(pixels[None], (side, side)).numpy()


def lively(model, seed: int = 1):
    """Random weights under which pictures differ."""
    rng = np.random.default_rng(seed)
    model.set_weights(
        [
            rng.uniform(0.5, 1.5, w.shape)
            if "variance" in v.name or "gamma" in v.name
            else rng.normal(0, 1.5 / np.sqrt(max(np.prod(w.shape[:-1]), 1)), w.shape)
            for v, w in zip(model.weights, model.get_weights(), strict=True)
        ]
    )
    return model


def small_cnn(keras):
    """The network of ``dogs_and_cats``: 150 x 150, three convolutions, one sigmoid unit."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Conv2D(8, 3, activation="relu", input_shape=(150, 150, 3)),
            layers.MaxPooling2D(),
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(16, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


def from_scratch(keras):
    """Keras' own example "image classification from scratch", narrower: 180 x 180."""
    layers = keras.layers
    inputs = keras.Input(shape=(180, 180, 3))
    x = layers.Rescaling(1.0 / 255)(inputs)
    x = layers.Conv2D(8, 3, strides=2, padding="same")(x)
    x = layers.BatchNormalization()(x)
    before = x = layers.Activation("relu")(x)
    for size in (12, 16):
        x = layers.Activation("relu")(x)
        x = layers.SeparableConv2D(size, 3, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
        residual = layers.Conv2D(size, 1, strides=2, padding="same")(before)
        before = x = layers.add([x, residual])
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.25)(x)
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))


def card(folder: Path, file: str, **changes: str) -> str:
    """The example's card with another file, and other lines changed."""
    text = (folder / "model.toml").read_text()
    for key, value in {"file": f'"{file}"', **changes}.items():
        text = re.sub(rf"^{key} = .*$", f"{key} = {value}", text, flags=re.MULTILINE)
    return text


def test_the_tiny_graph_is_one_to_tensorflow(start, examples, pictures):
    """What its script writes byte by byte, TensorFlow reads and runs; the scores are the same."""
    tf = pytest.importorskip("tensorflow")
    served = start(examples / "frozen-graph")
    told = json.loads(served.run("curl -s 'localhost:5000/classification?file_name=dog.jpg'"))
    definition = tf.compat.v1.GraphDef()
    definition.ParseFromString((examples / "frozen-graph/model/graph.pb").read_bytes())
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name="")
    image = Image.open(pictures / "dog.jpg").resize((224, 224), Image.Resampling.BILINEAR)
    with tf.compat.v1.Session(graph=graph) as session:
        (scores,) = session.run("final_result:0", {"input:0": np.asarray(image, np.float32)[None]})
    assert (
        pytest.approx(
            dict(zip(("red", "green", "blue"), map(float, scores), strict=True)), abs=1e-5
        )
        == told
    )


def test_a_keras_2_file_of_dogs_and_cats(start, copied, pictures):
    """An .h5 with one sigmoid unit: the class is Keras' own, rounded as the old server did."""
    tf_keras = pytest.importorskip("tf_keras")
    model = lively(small_cnn(tf_keras))
    folder = copied("dogs-and-cats", {})
    model.save(folder / "second_try.h5")
    (folder / "model.toml").write_text(card(folder, "second_try.h5"))
    served = start(folder)
    score = float(model.predict(resized(seen_by(pictures), 150), verbose=0)[0, 0])
    picture = f"-F 'file=@{pictures / 'dog.jpg'}'"
    page = served.run(f"curl -s {picture} localhost:8080/file/")
    assert {0: "CAT", 1: "DOG"}[round(score)] == json.loads(re.search(r"<h1>(.*)</h1>", page)[1])[
        "class"
    ]
    (result,) = json.loads(served.run(f"curl -s {picture} localhost:8080/api/predict"))["results"]
    told = {each["label"]: each["score"] for each in result["labels"]}
    assert pytest.approx({"DOG": score, "CAT": 1 - score}, abs=1e-4) == told
    assert "conv2d" in served.run("tintype inspect . --layers")


@pytest.mark.parametrize("kind", ["model.h5", "model.keras"])
def test_files_of_other_keras_versions(start, copied, pictures, kind):
    """Keras' own 180 x 180 example, written by Keras 2 and by Keras 3: percentages are Keras'."""
    keras = pytest.importorskip("tf_keras" if kind == "model.h5" else "keras")
    model = lively(from_scratch(keras))
    folder = copied("keras-classifier", {})
    model.save(folder / kind)
    (folder / "model.toml").write_text(card(folder, kind))
    served = start(folder)
    page = served.run(f"curl -s -L -F 'file=@{pictures / 'dog.jpg'}' localhost:5000/classify")
    dog = 100 * float(model.predict(resized(seen_by(pictures), 180), verbose=0)[0, 0])
    told = dict(re.findall(r'class="label">(\w+)</span>\s*<span class="score">([\d.]+) %', page))
    assert pytest.approx({"dog": dog, "cat": 100 - dog}, abs=0.11) == {
        name: float(percent) for name, percent in told.items()
    }


def part(pixels: np.ndarray, wide: int, high: int) -> np.ndarray:
    """A part around the point, moved inward at the edges."""
    left = min(max(POINT[0] - wide // 2, 0), pixels.shape[1] - wide)
    top = min(max(POINT[1] - high // 2, 0), pixels.shape[0] - high)
    return pixels[top : top + high, left : left + wide]


def best_five(scores: np.ndarray, names: list[str]) -> dict[str, float]:
    return {names[i]: float(scores[i]) for i in np.argsort(-scores)[:5]}


def test_themes_and_a_recurrent_colour_model_in_one_request(start, copied, pictures):
    """The five best of 42 themes on 80 %, and of 18 colours on 9 x 9 pixels, are Keras' own."""
    keras = pytest.importorskip("keras")
    layers = keras.layers
    themes = lively(
        keras.Sequential(
            [
                keras.Input((64, 64, 3)),
                layers.Rescaling(1 / 255),
                layers.Conv2D(8, 5, strides=4, activation="relu"),
                layers.GlobalAveragePooling2D(),
                layers.Dense(42, activation="softmax"),
            ]
        )
    )
    colours = lively(
        keras.Sequential(
            [
                keras.Input((9, 9, 3)),
                layers.Rescaling(1 / 255),
                layers.Reshape((9, 27)),
                layers.LSTM(12),
                layers.Dense(18, activation="softmax"),
            ]
        ),
        seed=2,
    )
    folder = copied("colours-and-themes", {})
    for name, model in (("themes", themes), ("colours", colours)):
        model.save(folder / "models" / name / "own.keras")
        (folder / "models" / name / "model.toml").write_text(
            card(folder / "models" / name, "own.keras")
        )
    path = folder / "models/themes/model.toml"
    text = path.read_text()
    names = re.search(r"^labels = .*$", text, re.MULTILINE)[0]
    path.write_text(text.replace(names, f"class_names = {json.dumps(THEMES)}"))
    served = start(folder)
    x, y = POINT
    line = f"curl -s --data-binary @{pictures / 'dog.jpg'} 'localhost:9000/api/predict?x={x}&y={y}'"
    results = json.loads(served.run(line))["results"]
    told = {
        result["model"]: {each["label"]: each["score"] for each in result["labels"]}
        for result in results
    }
    pixels = seen_by(pictures)
    around = resized(part(pixels, round(0.8 * 640), round(0.8 * 480)), 64)
    assert (
        pytest.approx(best_five(themes.predict(around, verbose=0)[0], THEMES), abs=1e-4)
        == told["themes"]
    )
    plain = np.asarray(Image.open(pictures / "dog.jpg"))  # the recipe raw decodes as Pillow does
    names = (pictures.parent / "models/colours/labels.txt").read_text().split("\n")
    patch = part(plain, 9, 9).astype(np.float32)[None]
    assert (
        pytest.approx(best_five(colours.predict(patch, verbose=0)[0], names), abs=1e-4)
        == told["builtinColors"]
    )
    assert [{"x": 600.0, "y": 40.0}] * 2 == [result["point"] for result in results]


def test_the_coco_model_answers_the_gateway_s_request(copied, start, data_folder):
    """/imageDetection with base64: the boxes of the model's published test, as fractions."""
    folder = copied("keras-classifier", {})
    (folder / "model.toml").write_text(
        f'name = "coco"\nfile = "{data_folder / "models/coco-ssd/model.tflite"}"\n'
    )
    served = start(folder)
    picture = (data_folder / "images/cats_and_dogs.jpg").read_bytes()
    body = {
        "model_name": "coco",
        "threshold": 0.5,
        "image": base64.b64encode(picture).decode(),
    }
    (folder / "body.json").write_text(json.dumps(body))
    told = json.loads(served.run("curl -s -d @body.json localhost:5000/imageDetection"))
    assert {"detections", "controller_time", "tfserve_time"} == set(told)
    assert [("cat", 16)] * 3 == [(d["class_label"], d["class_id"]) for d in told["detections"]]
    size = np.array(Image.open(io.BytesIO(picture)).size * 2)
    boxes = [
        [d["hit_box"][key] for key in ("x1", "y1", "x2", "y2")] * size for d in told["detections"]
    ]
    published = [(54, 396, 447, 592), (602, 157, 996, 604), (260, 394, 440, 603)]
    np.testing.assert_allclose(boxes, published, atol=40)
    assert all(0.5 <= d["score"] <= 1 for d in told["detections"])
    assert 0 < told["tfserve_time"] <= told["controller_time"]
