"""Operations with arguments that make no sense: refused in our own words, and soon."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tintype.errors import TintypeError
from tintype.modelfiles.keras.layers.operations import FUNCTIONS, ROWS
from tintype.modelfiles.keras.read import UNFORESEEN

JUNK: dict[str, Any] = {
    "huge": 2**30,
    "huge-negative": -(2**30),
    "beyond": 2**70,
    "text": "x",
    "list": [1, 2**30],
    "huge-list": [2**30, 2**30],
    "dictionary": {"a": 1},
    "fraction": 1.5,
    "truth": True,
    "nested": [[0, 0], [2**19, 2**19], [2**19, 2**19], [0, 0]],
    "one": 1,
}
NAMES = (
    "axis", "axes", "repeats", "k", "num_classes", "shape", "newshape", "size", "pool_size",
    "pad_width", "paddings", "indices_or_sections", "shift", "block_size", "source", "destination",
    "axis1", "axis2", "alpha", "threshold", "b", "multiples", "depth", "dtype",
    "num_or_size_splits",
    "indices", "key", "slice_spec", "perm", "top_cropping", "left_cropping", "target_height",
    "target_width", "top_padding", "left_padding", "offset_height", "offset_width", "strides",
    "depth_radius", "x_min", "x_max", "clip_value_min", "decimals", "fill_value", "x2", "y",
)  # fmt: skip


def _file(path: Path, entry: dict[str, Any]) -> Path:
    picture = {
        "class_name": "InputLayer",
        "config": {"batch_shape": [None, 6, 5, 4], "dtype": "float32", "name": "picture"},
        "name": "picture",
        "inbound_nodes": [],
    }
    config = {
        "class_name": "Functional",
        "config": {
            "name": "model",
            "layers": [picture, entry],
            "input_layers": [["picture", 0, 0]],
            "output_layers": [["it", 0, 0]],
        },
    }
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "3.9.0"
        file.create_group("model_weights").attrs["layer_names"] = np.array([], "S1")
    return path


TENSOR = {
    "class_name": "__keras_tensor__",
    "config": {"shape": [None, 6, 5, 4], "dtype": "float32", "keras_history": ["picture", 0, 0]},
}


def _attempt(describe: Any, path: Path) -> None:
    """Read it, or be refused for a reason looked for by name."""
    found = None
    try:
        describe(path)
    except TintypeError as error:
        found = str(error)
    assert found is None or UNFORESEEN not in found


@pytest.mark.parametrize("junk", JUNK)
def test_operations_of_keras_3(junk, tmp_path: Path, describe) -> None:
    """Whatever an operation was made with."""
    for name in sorted({name for row in ROWS for name in row.keras.split()}):
        entry = {
            "class_name": name,
            "config": {"name": "it", **dict.fromkeys(NAMES, JUNK[junk])},
            "name": "it",
            "inbound_nodes": [{"args": [TENSOR], "kwargs": {}}],
        }
        _attempt(describe, _file(tmp_path / "model.h5", entry))


@pytest.mark.parametrize("junk", JUNK)
def test_functions_of_tensorflow(junk, tmp_path: Path, describe) -> None:
    """Whatever a function was called with."""
    for name in sorted(FUNCTIONS):
        entry = {
            "class_name": "TFOpLambda",
            "config": {"name": "it", "trainable": True, "function": name},
            "name": "it",
            "inbound_nodes": [["picture", 0, 0, dict.fromkeys(NAMES, JUNK[junk])]],
        }
        _attempt(describe, _file(tmp_path / "model.h5", entry))
