"""``tintype predict`` gives the published answers of the known pictures, without a flag."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tintype.cli.app import build_app


def predict(model: Path, *images: Path) -> list[dict]:
    """The results of the command line, one a picture."""
    run = CliRunner().invoke(
        build_app("predict"), ["predict", str(model), *map(str, images), "--json"]
    )
    assert 0 == run.exit_code, run.stderr
    return [json.loads(line)["results"][0] for line in run.stdout.splitlines()]


@pytest.mark.parametrize(
    ("picture", "index", "label", "low", "high"),
    [
        ("burger.jpg", 934, "cheeseburger", 0.70, 1.0),
        ("parrot.jpg", 89, "macaw", 0.92, 0.96),
        ("cat_720p.jpg", 286, "Egyptian cat", 0.45, 0.49),
    ],
)
def test_mobilenet_v1_float(data_folder: Path, picture, index, label, low, high):
    """Float TFLite: labels and normalisation come from the file's metadata."""
    model = data_folder / "models/imagenet-mobilenet-v1-float/model.tflite"
    best = predict(model, data_folder / "images" / picture)[0]["labels"][0]
    assert (index, label) == (best["index"], best["label"])
    assert low <= best["score"] <= high


@pytest.mark.parametrize(
    ("picture", "index", "score"),
    [("parrot.jpg", 89, 255), ("cat_720p.jpg", 286, 210), ("burger.jpg", 934, 249)],
)
def test_mobilenet_v2_quantised(data_folder: Path, picture, index, score):
    """uint8 TFLite: the published score to the last of 255 steps, give or take one."""
    model = data_folder / "models/imagenet-mobilenet-v2-quant/model.tflite"
    best = predict(model, data_folder / "images" / picture)[0]["labels"][0]
    assert index == best["index"]
    assert pytest.approx(score / 255, abs=1.5 / 255) == best["score"]


def test_coco_ssd(data_folder: Path):
    """The published boxes: score within 0.05, corners within 40 pixels."""
    model = data_folder / "models/coco-ssd/model.tflite"
    found = predict(model, data_folder / "images/cats_and_dogs.jpg")[0]["boxes"]
    published = [
        ("cat", 0.64, 54, 396, 393, 196),
        ("cat", 0.61, 602, 157, 394, 447),
        ("cat", 0.56, 260, 394, 180, 209),
        ("dog", 0.50, 389, 197, 278, 409),
    ]
    for label, score, x, y, width, height in published:
        corners = pytest.approx([x, y, x + width, y + height], abs=40)
        there = [
            box["score"]
            for box in found
            if label == box["label"] and corners == [box[side] for side in ("x1", "y1", "x2", "y2")]
        ]
        assert pytest.approx(score, abs=0.05) in there


def test_teachable_machine(data_folder: Path):
    """The file Keras 3 refuses answers as tf_keras does on the export's own recipe."""
    tf_keras = pytest.importorskip("tf_keras", reason="the reference framework is not installed")
    import numpy as np
    from PIL import Image, ImageOps

    folder = data_folder / "models/teachable-machine"
    picture = data_folder / "images/burger.jpg"
    with Image.open(picture) as image:
        square = ImageOps.fit(image.convert("RGB"), (224, 224), Image.Resampling.LANCZOS)
    batch = (np.asarray(square, np.float32) / 127.5 - 1)[None]
    model = tf_keras.models.load_model(folder / "keras_model.h5", compile=False)
    expected = model.predict(batch, verbose=0)[0]
    result = predict(folder / "keras_model.h5", picture)[0]["labels"]
    names = [line.split(" ", 1)[1] for line in (folder / "labels.txt").read_text().splitlines()]
    scores = {one["label"]: one["score"] for one in result}
    assert set(names) == set(scores)
    assert pytest.approx(list(expected), abs=1e-4) == [scores[name] for name in names]
