"""Files with code, converted by the real frameworks in a child process that is shut in."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tintype.errors import ModelFileError, UnsafeModel, UnsupportedModel
from tintype.modelfiles.conversion.convert import ConversionLimits, cache_folder, convert_keras
from tintype.modelfiles.description import ReadOptions
from tintype.modelfiles.open import describe
from tintype.models.card import bare_card, read_card
from tintype.models.plan import plan_model
from tintype.types import Format

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
tensorflow = pytest.importorskip("tensorflow", reason="the reference framework is not installed")
keras3 = pytest.importorskip("keras", reason="the reference framework is not installed")
keras2 = pytest.importorskip("tf_keras", reason="the reference framework is not installed")

ALLOWED = ReadOptions(allow_code=True)
LIMITS = ConversionLimits(wall_seconds=120, cpu_seconds=120)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def saved(tmp_path) -> Callable[..., tuple[Any, Path]]:
    """Save a small classifier that begins with a Lambda."""

    def save(keras: Any, ending: str, function: Callable[..., Any]) -> tuple[Any, Path]:
        layers = keras.layers
        shape = {"output_shape": (8, 8, 3)} if keras is keras3 else {}
        model = keras.Sequential(
            [
                keras.Input((8, 8, 3)),
                layers.Lambda(function, name="own", **shape),
                layers.Conv2D(4, 3, activation="relu"),
                layers.Flatten(),
                layers.Dense(3, activation="softmax"),
            ]
        )
        path = tmp_path / f"model{ending}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.save(path)
        return model, path

    return save


@pytest.mark.parametrize(
    ("keras", "ending"), [(keras3, ".keras"), (keras3, ".h5"), (keras2, ".h5")]
)
def test_a_lambda_is_converted(keras, ending, saved, cache):
    """The graph answers as the model does, is kept, and it is said that code was run."""
    openvino = pytest.importorskip("openvino")
    model, path = saved(keras, ending, lambda x: x / 127.5 - 1)
    description = describe(path, options=ALLOWED)
    expected = Format.KERAS_ZIP if ending == ".keras" else Format.KERAS_HDF5
    assert expected == description.format
    assert Format.TF_FROZEN_GRAPH == description.graph.format
    batch = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    compiled = openvino.Core().compile_model(
        description.graph.source, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    np.testing.assert_allclose(compiled(batch)[0], np.asarray(model(batch)), atol=1e-5)
    assert "code in the file was run by" in description.ran_code
    assert description.findings[0].severity == "warning"
    assert (cache / "tintype" / "converted").is_dir()


def test_without_the_flag_nothing_is_run(saved, cache):
    """Refused as ever; the hint names the flag."""
    _, path = saved(keras3, ".keras", lambda x: x * 2)
    with pytest.raises(UnsafeModel, match="never run") as caught:
        describe(path)
    assert "--allow-code" in caught.value.hint
    assert not cache.exists()


def test_the_second_time_no_code_is_run(saved):
    """The graph is kept by the content of the file, whatever its name."""
    _, path = saved(keras3, ".keras", lambda x: x * 2)
    first = convert_keras(path, limits=LIMITS)
    other = path.rename(path.with_name("other.keras"))
    second = convert_keras(other, limits=ConversionLimits(wall_seconds=0))
    assert (False, True) == (first.cached, second.cached)
    assert replace(first, cached=True) == second
    assert first.difference <= 1e-5
    assert [first.graph.parent.name] == [entry.name for entry in cache_folder().iterdir()]


def test_the_plan_says_that_code_was_run(saved, tmp_path):
    """By the flag or the card, the summary warns."""
    _, path = saved(keras3, ".keras", lambda x: x * 2)
    warning = plan_model(replace(bare_card(path), allow_code=True)).warnings[0]
    assert "code in the file was run by keras 3" in warning
    (tmp_path / "model.toml").write_text('file = "model.keras"\nallow_code = true\n')
    assert "was run earlier" in plan_model(read_card(tmp_path / "model.toml")).warnings[0]


def test_code_that_never_ends(saved, cache):
    """It is killed when its time is up, and leaves nothing behind."""

    def loop(x):
        while True:
            x = x + 0

    _, path = saved(keras2, ".h5", lambda x: x)
    _replace_function(path, loop)
    limits = ConversionLimits(wall_seconds=12, cpu_seconds=100)
    with pytest.raises(ModelFileError, match="within 12 seconds"):
        convert_keras(path, limits=limits)
    assert [] == [*(cache / "tintype" / "converted").iterdir()]


def test_code_that_tries_to_get_out(saved, tmp_path):
    """A Lambda that writes outside, opens a socket and starts a program fails at all three."""
    target = tmp_path / "outside.txt"

    def escape(x, target=str(target)):
        import socket
        import subprocess
        from pathlib import Path

        got_out = []
        for attempt in (
            lambda: Path(target).write_text("I was here"),
            lambda: socket.create_connection(("127.0.0.1", 9), 1),
            lambda: subprocess.run(["/bin/true"], check=True),
        ):
            try:
                attempt()
                got_out.append("out")
            except (PermissionError, BlockingIOError) as error:
                got_out.append(type(error).__name__)
        raise RuntimeError(f"{x.shape} {' '.join(got_out)}")

    _, path = saved(keras2, ".h5", lambda x: x)
    _replace_function(path, escape)
    with pytest.raises(UnsupportedModel, match="PermissionError PermissionError PermissionError"):
        convert_keras(path, limits=LIMITS)
    assert not target.exists()


def test_answers_that_change(saved):
    """Code that draws random numbers cannot become a graph."""

    def random(x):
        import tensorflow as tf

        return x + tf.random.normal(tf.shape(x))

    _, path = saved(keras2, ".h5", lambda x: x)
    _replace_function(path, random)
    with pytest.raises(UnsupportedModel, match="largest difference is"):
        convert_keras(path, limits=LIMITS)


def test_a_class_that_nobody_has(saved):
    """What the framework does not know either is told in its own words."""
    import h5py

    _, path = saved(keras2, ".h5", lambda x: x)
    with h5py.File(path, "a") as root:
        config = root.attrs["model_config"]
        root.attrs["model_config"] = config.replace('"Lambda"', '"MyOwn"')
    with pytest.raises(UnsupportedModel, match=r"could not convert .*MyOwn"):
        describe(path, options=ALLOWED)


def _replace_function(path: Path, function: Callable[..., Any]) -> None:
    """Put another function into a Lambda, which would be run while saving already."""
    import json

    import h5py
    from tf_keras.src.utils import generic_utils

    with h5py.File(path, "a") as root:
        config = json.loads(root.attrs["model_config"])
        code, defaults, _ = generic_utils.func_dump(function)
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "Lambda":
                layer["config"]["function"] = [code, defaults, None]
                layer["config"]["function_type"] = "lambda"
        root.attrs["model_config"] = json.dumps(config)
