"""Models made by others, through the engine chosen for them: the known first labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tintype.engines.catalog import choose, load
from tintype.engines.engine import Engine
from tintype.errors import UnsupportedModel
from tintype.modelfiles.open import describe
from tintype.types import Graph


def stretched(folder: Path, name: str, side: int) -> np.ndarray:
    """The picture as the published answers had it: Pillow's bilinear, stretched; a batch of 1."""
    with Image.open(folder / "images" / name) as picture:
        small = picture.convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(small)[np.newaxis]


def graph_in(folder: Path, name: str) -> Graph:
    """What the reader says of a file."""
    return describe(folder / "models" / name / "model.tflite").graph


@pytest.fixture(scope="module")
def quantised(data_folder) -> Graph:
    """MobileNet v2, uint8 in and out."""
    return graph_in(data_folder, "imagenet-mobilenet-v2-quant")


@pytest.fixture(scope="module")
def quantised_engine(quantised) -> Engine:
    return load(quantised)


@pytest.mark.parametrize(
    ("picture", "index", "stored"),
    [("parrot.jpg", 89, 255), ("cat_720p.jpg", 286, 210), ("burger.jpg", 934, 249)],
)
def test_quantised_mobilenet_gives_the_stored_levels(
    data_folder, quantised_engine, picture, index, stored
):
    """Level for level: LiteRT is chosen because it computes in the file's integers."""
    (scores,) = quantised_engine.run(stretched(data_folder, picture, 224))

    assert "litert" == quantised_engine.name
    assert "int8" == quantised_engine.precision
    assert index == scores[0].argmax()
    assert pytest.approx(stored / 256, abs=1e-6) == scores[0].max()


@pytest.mark.parametrize("name", ["openvino", "litert"])
@pytest.mark.parametrize(
    ("picture", "index", "score"),
    [("parrot.jpg", 89, 0.94), ("cat_720p.jpg", 286, 0.47), ("burger.jpg", 934, 0.988)],
)
def test_float_mobilenet_gives_the_published_scores(data_folder, name, picture, index, score):
    """Both engines that read the file agree with the published answers."""
    graph = graph_in(data_folder, "imagenet-mobilenet-v1-float")
    pixels = stretched(data_folder, picture, 224).astype(np.float32)

    (scores,) = load(graph, engine=name).run((pixels - 127.5) / 127.5)

    assert index == scores[0].argmax()
    assert pytest.approx(score, abs=0.005) == scores[0].max()


def test_the_detector_finds_the_cats_and_the_dog(data_folder):
    """Boxes, class numbers, scores and a count, in the order asked for, through LiteRT alone."""
    graph = graph_in(data_folder, "coco-ssd")

    engine = load(graph)
    boxes, classes, scores, count = engine.run(stretched(data_folder, "cats_and_dogs.jpg", 300))

    assert "litert" == choose(graph)[0]
    assert (1, 10, 4) == boxes.shape
    assert [16.0, 16.0, 16.0, 17.0] == classes[0, :4].tolist()  # cat, cat, cat, dog
    np.testing.assert_allclose([0.64, 0.61, 0.56, 0.50], scores[0, :4], rtol=0, atol=0.05)
    assert (1,) == count.shape


def test_a_tflite_file_cut_short_is_refused_in_words(tmp_path, quantised):
    """By both engines that read TFLite."""
    path = tmp_path / "model.tflite"
    path.write_bytes(Path(quantised.source).read_bytes()[:100_000])
    for name in ("litert", "openvino"):
        with pytest.raises(UnsupportedModel):
            load(replace(quantised, source=path), engine=name)
