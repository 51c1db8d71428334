"""Real Keras models, saved by the real frameworks, and both engines to run what was read."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tintype.modelfiles.description import ModelDescription, ReadOptions
from tintype.modelfiles.keras.read import describe_keras
from tintype.types import Format

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

REASON = "the reference framework is not installed"


@pytest.fixture(scope="session")
def keras3() -> ModuleType:
    pytest.importorskip("tensorflow", reason=REASON)
    return pytest.importorskip("keras", reason=REASON)


@pytest.fixture(scope="session")
def keras2() -> ModuleType:
    pytest.importorskip("tensorflow", reason=REASON)
    return pytest.importorskip("tf_keras", reason=REASON)


@pytest.fixture(scope="session", params=["keras3-zip", "keras3-hdf5", "keras2-hdf5", "keras2-zip"])
def flavour(request: pytest.FixtureRequest) -> tuple[ModuleType, str]:
    """A framework and the ending of the files it is to write."""
    name, _, container = request.param.partition("-")
    return request.getfixturevalue(name), ".h5" if container == "hdf5" else ".keras"


@pytest.fixture(scope="session")
def describe() -> Callable[..., ModelDescription]:
    """Read a file, its container told by its ending."""

    def read(path: Path, **options: Any) -> ModelDescription:
        kind = Format.KERAS_ZIP if path.suffix == ".keras" else Format.KERAS_HDF5
        return describe_keras(path, format=kind, options=ReadOptions(**options))

    return read


@pytest.fixture(scope="session")
def save() -> Callable[[Any, Path], Path]:
    """Save a model; the frameworks warn that HDF5 is old."""

    def write(model: Any, path: Path) -> Path:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.save(path)
        return path

    return write


@pytest.fixture(scope="session")
def run_openvino() -> Callable[[ModelDescription, np.ndarray], np.ndarray]:
    openvino = pytest.importorskip("openvino")
    core = openvino.Core()

    def run(description: ModelDescription, batch: np.ndarray) -> np.ndarray:
        model = core.read_model(description.graph.source)
        config = {"INFERENCE_PRECISION_HINT": "f32"}
        return np.asarray(core.compile_model(model, "CPU", config)(batch)[0])

    return run


@pytest.fixture(scope="session")
def run_onnxruntime() -> Callable[[ModelDescription, np.ndarray], np.ndarray]:
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

    def run(description: ModelDescription, batch: np.ndarray) -> np.ndarray:
        session = onnxruntime.InferenceSession(description.graph.source)
        return np.asarray(session.run(None, {description.graph.input.name: batch})[0])

    return run


@pytest.fixture(scope="session")
def randomised() -> Callable[[Any], Any]:
    """Give every weight a random value: fresh biases and statistics hide mistakes."""

    def fill(model: Any) -> Any:
        random = np.random.default_rng(7)
        for layer in _leaves(model):
            values = [_random_like(random, weight) for weight in layer.weights]
            if values and type(layer).__name__ != "Normalization":
                layer.set_weights(values)
        return model

    return fill


def _leaves(model: Any) -> list[Any]:
    found: list[Any] = []
    for layer in model.layers:
        found.extend(_leaves(layer) if hasattr(layer, "layers") else [layer])
    return found


def _random_like(random: np.random.Generator, weight: Any) -> np.ndarray:
    name = getattr(weight, "path", weight.name)
    shape = tuple(weight.shape)
    if "variance" in name or "gamma" in name:
        return random.uniform(0.5, 1.5, shape).astype(np.float32)
    if len(shape) > 1:
        fan = int(np.prod(shape[:-1]))
        return (random.normal(size=shape) / np.sqrt(fan)).astype(np.float32)
    return random.uniform(-0.3, 0.3, shape).astype(np.float32)


@pytest.fixture(scope="session")
def assert_same(
    describe: Callable[..., ModelDescription],
    save: Callable[[Any, Path], Path],
    run_openvino: Callable[..., np.ndarray],
    run_onnxruntime: Callable[..., np.ndarray],
) -> Callable[..., ModelDescription]:
    """Save a model, read it, and hold both engines to what the framework answers.

    Also holds the graph to onnx' own checker.
    """
    onnx = pytest.importorskip("onnx")

    def compare(
        model: Any, path: Path, *, low: float = -1, high: float = 1, tolerance: float = 1e-5
    ) -> ModelDescription:
        description = describe(save(model, path))
        onnx.checker.check_model(onnx.load_from_string(description.graph.source), full_check=True)
        sizes = [length or 21 for length in description.image.tensor.shape[1:]]
        batch = np.random.default_rng(3).uniform(low, high, (2, *sizes))
        batch = batch.astype(description.image.tensor.dtype)
        expected = np.asarray(model(batch, training=False))
        for run in (run_openvino, run_onnxruntime):
            actual = run(description, batch)
            np.testing.assert_allclose(
                actual, expected.reshape(actual.shape), rtol=1e-5, atol=tolerance
            )
        return description

    return compare
