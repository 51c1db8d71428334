"""The harness for layers: one call proves one kind of layer over generated settings.

``prove`` takes a function that makes the layer, given Keras' ``layers`` and a ``draw`` for the
settings; ``prove_function`` one that maps a tensor. Both build small models with random weights,
save them, read the files, and hold both engines to what the framework answers.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]
Make = Callable[[Any, Draw], Any]

_BOUNDS = settings(
    max_examples=4,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
"""Always the same few examples, and no search for smaller ones: a model is built for each."""


@pytest.fixture(params=["keras2", "keras3"])
def generation(request: pytest.FixtureRequest) -> tuple[ModuleType, str]:
    """A framework, and the ending of the files that it usually writes."""
    ending = ".h5" if request.param == "keras2" else ".keras"
    return request.getfixturevalue(request.param), ending


@pytest.fixture
def prove(tmp_path: Path, assert_same, randomised) -> Callable[..., None]:
    """Hold a layer to what is read of it: ``prove(framework, ending, make, shape)``.

    ``shape`` is that of the layer's input without batch. Where it can be a picture, a convolution
    may stand before the layer, so that its tensor lies channels-first in the graph.
    """
    numbers = itertools.count()

    def run(
        keras: ModuleType, ending: str, make: Make, shape: tuple[int, ...] = (7, 6, 4), **how: Any
    ) -> None:
        @_BOUNDS
        @given(st.data())
        def examples(data: st.DataObject) -> None:
            layer = make(keras.layers, data.draw)
            stack = _in_front(keras, shape, data.draw)
            behind = [] if isinstance(layer, list) else [layer]
            behind = layer if isinstance(layer, list) else behind
            model = keras.Sequential([*stack, *behind, keras.layers.Flatten()])
            path = tmp_path / f"model_{next(numbers)}{ending}"
            assert_same(randomised(model), path, **how)
            path.unlink()

        examples()

    return run


def _in_front(keras: ModuleType, shape: tuple[int, ...], draw: Draw) -> list[Any]:
    if len(shape) == 3 and shape[-1] in {1, 3, 4}:
        front = [keras.Input(shape)]
        return [*front, keras.layers.Conv2D(shape[-1], 1)] if draw(st.booleans()) else front
    return [keras.Input((1, math.prod(shape), 1)), keras.layers.Reshape(shape)]


@pytest.fixture
def prove_function(tmp_path: Path, assert_same, randomised) -> Callable[..., None]:
    """Hold functions between layers to what is read of them, before and behind a convolution."""
    numbers = itertools.count()

    def run(
        keras: ModuleType,
        ending: str,
        function: Callable[[Any], Any],
        shape: tuple[int, ...] = (7, 6, 4),
        **how: Any,
    ) -> None:
        for convolved in (False, True):
            picture = keras.Input(shape)
            x = keras.layers.Conv2D(shape[-1], 1)(picture) if convolved else picture
            answers = function(x)
            answers = answers if isinstance(answers, list | tuple) else [answers]
            flat = [keras.layers.Flatten()(answer) for answer in answers]
            joined = flat[0] if len(flat) == 1 else keras.layers.Concatenate()(flat)
            model = keras.Model(picture, joined)
            path = tmp_path / f"model_{next(numbers)}{ending}"
            assert_same(randomised(model), path, **how)

    return run


@pytest.fixture
def old_file(tmp_path: Path):
    """A file of Keras 2 with one layer of any class, written by hand."""

    def write(*layers: dict[str, Any]) -> Path:
        first = {
            "class_name": "InputLayer",
            "config": {"batch_input_shape": [None, 6, 5, 4], "dtype": "float32", "name": "picture"},
        }
        last = {"class_name": "Flatten", "config": {"name": "flatten"}}
        config = {
            "class_name": "Sequential",
            "config": {"name": "model", "layers": [first, *layers, last]},
        }
        path = tmp_path / "model.h5"
        with h5py.File(path, "w") as file:
            file.attrs["model_config"] = json.dumps(config)
            file.attrs["keras_version"] = "2.3.1"
            file.attrs["backend"] = "tensorflow"
            file.create_group("model_weights").attrs["layer_names"] = np.array([], "S1")
        return path

    return write
