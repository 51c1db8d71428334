"""The recipes chosen for real model files, whose right answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from tintype.imaging.recipe import parse_recipe
from tintype.imaging.values import scaled
from tintype.modelfiles.open import describe
from tintype.models.recipes.choose import choose_recipe
from tintype.models.recipes.first_norm import fit_first_norm
from tintype.types import Float32Array

FILES = {
    "teachable-machine/keras_model.h5": "teachable-machine",
    "glasses-frozen-graph/retrained_graph.pb": "tf1-label-image",
    "imagenet-mobilenet-v1-float/model.tflite": "tflite-metadata",
    "imagenet-mobilenet-v2-quant/model.tflite": "tflite-metadata",
    "coco-ssd/model.tflite": "tflite-metadata",
}


@pytest.mark.parametrize("file", FILES)
def test_known_files_get_the_recipe_of_their_training(file, data_folder):
    """All five were trained on levels / 127.5 - 1; none of the choices is a guess."""
    choice = choose_recipe(describe(data_folder / "models" / file))
    recipe = parse_recipe(choice.settings)

    assert FILES[file] == recipe.preset
    assert [-1.0, 0.0, 1.0] == scaled(_levels(), recipe.values).ravel().tolist()
    assert not choice.is_guess


@pytest.mark.parametrize("file", FILES)
def test_first_layers_alone_tell_the_scale(file, data_folder):
    """Without metadata or names the first layers of all five fit x/127.5-1 best."""
    first = describe(data_folder / "models" / file).evidence.first_layers

    fit = fit_first_norm(first)

    assert "x/127.5-1" == fit.best
    assert fit.confident is not fit.weak


def test_resize_of_a_tensorflow_1_graph(data_folder):
    """The glasses graph is fed by TensorFlow 1's own bilinear resize, as label_image does."""
    model = describe(data_folder / "models/glasses-frozen-graph/retrained_graph.pb")

    resize = parse_recipe(choose_recipe(model).settings).resize

    assert ("tf1", "bilinear") == (resize.engine, resize.kind)


def _levels() -> Float32Array:
    return np.array([0.0, 127.5, 255.0], np.float32)[:, None, None]
