"""Files with code, converted by the real frameworks in a child process that is shut in."""

from __future__ import annotations

import functools
import os
import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tintype.errors import ModelFileError, UnsafeModel, UnsupportedModel
from tintype.modelfiles.conversion import convert
from tintype.modelfiles.conversion.convert import ConversionLimits, cache_folder, convert_keras
from tintype.modelfiles.description import ModelDescription, ReadOptions
from tintype.modelfiles.open import describe
from tintype.models.card import bare_card
from tintype.models.card_reader import read_card
from tintype.models.plan import plan_model
from tintype.types import Format

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
tensorflow = pytest.importorskip("tensorflow", reason="the reference framework is not installed")
keras3 = pytest.importorskip("keras", reason="the reference framework is not installed")
keras2 = pytest.importorskip("tf_keras", reason="the reference framework is not installed")

ALLOWED = ReadOptions(allow_code=True)
LIMITS = ConversionLimits(wall_seconds=120, cpu_seconds=120)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A cache that the tests of this module share: every conversion costs seconds."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def cache(home, monkeypatch) -> Path:
    """The folder of converted graphs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    return home / "tintype" / "converted"


def save(folder: Path, keras: Any, ending: str, function: Callable[..., Any]) -> tuple[Any, Path]:
    """Save a small classifier that begins with a Lambda."""
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
    path = folder / f"model{ending}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(path)
    return model, path


@pytest.fixture
def saved(tmp_path) -> Callable[..., tuple[Any, Path]]:
    """Save into the test's own folder."""
    return functools.partial(save, tmp_path)


@pytest.fixture(scope="module")
def scaled(tmp_path_factory) -> tuple[Any, Path]:
    """A file of Keras 3 that scales pixels by a Lambda."""
    return save(tmp_path_factory.mktemp("scaled"), keras3, ".keras", lambda x: x / 127.5 - 1)


def assert_converted(model: Any, path: Path) -> ModelDescription:
    """Hold the graph to the model's answers, and the description to the truth."""
    openvino = pytest.importorskip("openvino")
    description = describe(path, options=ALLOWED)
    assert Format.TF_FROZEN_GRAPH == description.graph.format
    batch = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    compiled = openvino.Core().compile_model(
        description.graph.source, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    np.testing.assert_allclose(compiled(batch)[0], np.asarray(model(batch)), atol=1e-5)
    assert "code in the file was run" in description.ran_code
    assert "warning" == description.findings[0].severity
    return description


def test_a_lambda_of_keras_3(scaled):
    """The graph answers as the model does, and it is said that code was run."""
    description = assert_converted(*scaled)
    assert Format.KERAS_ZIP == description.format
    assert "by keras 3" in description.ran_code


def test_a_lambda_that_only_tf_keras_can_load(saved):
    """Where Keras 3 refuses the file, tf_keras has its turn; ``tf`` need not be imported."""
    model, path = saved(keras2, ".h5", lambda x: tensorflow.nn.relu(x / 127.5 - 1))
    _replace_function(path, lambda x: tf.nn.relu(x / 127.5 - 1))  # noqa: F821 - known in the child
    description = assert_converted(model, path)
    assert Format.KERAS_HDF5 == description.format


def test_without_the_flag_nothing_is_run(scaled, tmp_path, monkeypatch):
    """Refused as ever; the hint names the flag."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    with pytest.raises(UnsafeModel, match="never run") as caught:
        describe(scaled[1])
    assert "--allow-code" in caught.value.hint
    assert not (tmp_path / "none").exists()


def test_the_second_time_no_code_is_run(scaled, tmp_path, cache):
    """The graph is kept by the content of the file, whatever its name."""
    first = convert_keras(scaled[1], limits=LIMITS)
    other = tmp_path / "other.keras"
    other.write_bytes(scaled[1].read_bytes())
    second = convert_keras(other, limits=ConversionLimits(wall_seconds=0))
    assert second.cached
    assert replace(first, cached=True) == second
    assert second.difference <= 1e-5
    assert cache == second.graph.parent.parent == cache_folder()


def test_the_plan_says_that_code_was_run(scaled):
    """By the flag or the card, the summary warns."""
    warning = plan_model(replace(bare_card(scaled[1]), allow_code=True)).warnings[0]
    assert "code in the file was run" in warning
    card = scaled[1].with_name("model.toml")
    card.write_text('file = "model.keras"\nallow_code = true\n')
    assert "was run earlier" in plan_model(read_card(card)).warnings[0]


def test_a_damaged_cache(scaled, tmp_path):
    """What lies in the cache is held to the rules too."""
    kept = convert_keras(scaled[1], limits=LIMITS).graph.parent
    other = tmp_path / "cache" / kept.name
    other.mkdir(parents=True)
    for text in ("{", "[]", '{"difference": 0}'):
        (other / "result.json").write_text(text)
        with pytest.raises(ModelFileError, match="is damaged"):
            convert_keras(scaled[1], cache=tmp_path / "cache")
    result = (kept / "result.json").read_text()
    (other / "result.json").write_text(re.sub(r'"difference": [^,}]*', '"difference": 0.5', result))
    with pytest.raises(UnsupportedModel, match=r"largest difference is 0\.5"):
        convert_keras(scaled[1], cache=tmp_path / "cache")


def test_code_that_never_ends(saved, tmp_path):
    """It is killed when its time is up, and leaves nothing behind."""

    def loop(x):
        while True:
            x = x + 0

    _, path = saved(keras2, ".h5", lambda x: x)
    _replace_function(path, loop)
    limits = ConversionLimits(wall_seconds=12, cpu_seconds=100)
    with pytest.raises(ModelFileError, match="within 12 seconds"):
        convert_keras(path, limits=limits, cache=tmp_path / "cache")
    assert [] == [*(tmp_path / "cache").iterdir()]


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


def test_the_environment_stays_with_the_person(monkeypatch, tmp_path):
    """No token of a variable, and no home folder, reach the child."""
    monkeypatch.setenv("MY_TOKEN", "secret")
    environment = convert._environment(tmp_path)
    assert "secret" not in environment.values()
    assert str(tmp_path) == environment["HOME"]


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
