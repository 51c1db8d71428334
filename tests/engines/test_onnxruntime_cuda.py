"""ONNX Runtime on a GPU, as far as it goes without one: refusals, options, sizes of batch."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from onnx import helper

from tintype.engines.catalog import load
from tintype.engines.engine import EngineOptions
from tintype.engines.onnxruntime_cuda import (
    PROVIDER,
    STREAMS,
    Filled,
    cuda_provider,
    filled_engine,
    require_cuda,
)
from tintype.engines.pooled import Facts
from tintype.errors import EngineFailed, SettingsError
from tintype.types import TensorSpec

ON_CUDA = EngineOptions(device="cuda", batch=64)
CPU_PROVIDER = "CPUExecutionProvider"
FACTS = Facts(
    name="onnxruntime",
    precision="f32",
    input=TensorSpec(name="x", shape=(None, 2)),
    outputs=(TensorSpec(name="y", shape=(None, 2)),),
    batch_size=None,
)


def library(*providers: str) -> SimpleNamespace:
    """An ONNX Runtime that was built with these providers."""
    return SimpleNamespace(
        get_available_providers=lambda: list(providers),
        preload_dlls=lambda: sys.stdout.write("Failed to load libcublas\n"),
    )


class Doubling:
    """A runner that doubles; notes how many rows each run had, and fails above ``most``."""

    def __init__(self, runs: list[int], most: int = 1000) -> None:
        self.sizes: set[int] = set()
        self._runs = runs
        self._most = most

    def run(self, batch: np.ndarray) -> list[np.ndarray]:
        """Twice the batch."""
        if len(batch) > self._most:
            raise EngineFailed("out of memory")
        self._runs.append(len(batch))
        self.sizes.add(len(batch))
        return [2 * batch]


def rows(count: int) -> np.ndarray:
    """So many rows, all different."""
    return np.arange(2 * count, dtype=np.float32).reshape(count, 2)


def test_a_library_without_the_provider_is_refused_with_the_package_and_the_setting():
    """And with what it has instead."""
    with pytest.raises(SettingsError, match=rf"engine\.device.*{CPU_PROVIDER}") as refusal:
        cuda_provider(library(CPU_PROVIDER), EngineOptions(device="cuda"))

    assert "tintype[cuda]" in str(refusal.value.hint)
    assert 'engine.device = "cpu"' in str(refusal.value.hint)


def test_a_session_that_went_to_the_processor_is_refused():
    """ONNX Runtime falls back in silence where there is no GPU, no driver, or no cuDNN."""
    session = SimpleNamespace(get_providers=lambda: [CPU_PROVIDER])

    with pytest.raises(SettingsError, match="cannot use a GPU here") as refusal:
        require_cuda(session)

    assert "nvidia-smi" in str(refusal.value.hint)


def test_a_session_on_the_gpu_stays_there():
    """A run that fails there is not repeated on the processor."""
    told = []
    require_cuda(
        SimpleNamespace(
            get_providers=lambda: [PROVIDER, CPU_PROVIDER],
            disable_fallback=lambda: told.append("disabled"),
        )
    )
    assert ["disabled"] == told


@pytest.mark.parametrize(("precision", "tf32"), [("f32", "0"), ("bf16", "0"), ("tf32", "1")])
def test_factors_are_rounded_only_where_tf32_was_asked_for(precision, tf32):
    """ONNX Runtime's own default is to round them."""
    name, options = cuda_provider(
        library(PROVIDER, CPU_PROVIDER), EngineOptions(device="cuda", precision=precision)
    )
    assert (PROVIDER, tf32) == (name, options["use_tf32"])


def test_what_the_library_prints_goes_to_stderr(capsys):
    """Stdout belongs to ``tintype predict --json``."""
    cuda_provider(library(PROVIDER), EngineOptions(device="cuda"))

    out, err = capsys.readouterr()
    assert ("", "Failed to load libcublas\n") == (out, err)


@pytest.mark.parametrize(
    ("count", "runs"), [(1, [1]), (3, [4]), (4, [4]), (5, [8]), (9, [8, 8]), (20, [8, 8, 8])]
)
def test_a_batch_is_filled_up_to_a_size_that_is_ready(count, runs):
    """A larger one than any runs in parts; every row gets its own answer, and no other."""
    ran: list[int] = []

    (answer,) = Filled([(size, Doubling(ran)) for size in (1, 2, 4, 8)]).run(rows(count))

    assert runs == ran
    np.testing.assert_array_equal(2 * rows(count), answer)


def test_pictures_run_one_by_one_until_it_is_widened():
    """The first run of a size takes long."""
    ran: list[int] = []
    engine = filled_engine(FACTS, lambda: Doubling(ran), options=ON_CUDA)

    (answer,) = engine.run(rows(3))

    assert [1, 1, 1] == ran
    np.testing.assert_array_equal(2 * rows(3), answer)
    assert (None, STREAMS) == (engine.batch_size, engine.streams)


def test_widening_tries_every_size_up_to_the_largest_batch():
    """Which is a size of its own."""
    ran: list[int] = []
    engine = filled_engine(FACTS, lambda: Doubling(ran), options=replace(ON_CUDA, batch=20))

    engine.widen()
    engine.run(rows(17))

    assert [2, 4, 8, 16, 20, 20] == ran


def test_no_session_ever_meets_two_sizes():
    """One that does plans its convolutions anew at every change."""
    made: list[Doubling] = []

    def make() -> Doubling:
        made.append(Doubling([]))
        return made[-1]

    engine = filled_engine(FACTS, make, options=ON_CUDA)
    engine.run(rows(1))
    engine.widen()
    for count in (5, 1, 64, 3, 100, 2, 31):
        engine.run(rows(count))

    assert [{1}, {2}, {4}, {8}, {16}, {32}, {64}] == [each.sizes for each in made]


def test_a_size_that_does_not_fit_into_memory_is_not_used():
    """Batches run in parts then."""
    ran: list[int] = []
    engine = filled_engine(FACTS, lambda: Doubling(ran, most=4), options=ON_CUDA)

    engine.widen()
    (answer,) = engine.run(rows(7))

    assert [2, 4, 4, 4] == ran
    np.testing.assert_array_equal(2 * rows(7), answer)


@pytest.fixture
def library_with_gpu(monkeypatch):
    """The real ONNX Runtime, whose sessions say that they are on a GPU and lie on the processor."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="the engine is not installed")
    asked: list[tuple[str, dict[str, str]]] = []

    class Session(onnxruntime.InferenceSession):
        def __init__(self, content, settings, providers):
            asked.extend(providers)
            super().__init__(content, settings, providers=[CPU_PROVIDER])

        def get_providers(self):
            return [PROVIDER, CPU_PROVIDER]

    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [PROVIDER, CPU_PROVIDER])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
    return asked


@pytest.mark.parametrize("precision", ["f32", "tf32"])
def test_a_graph_answers_in_batches_of_any_size(onnx_graph, library_with_gpu, precision):
    """As it does on the processor; whether rows stand alone is found out there."""
    graph = onnx_graph(
        [helper.make_node("GlobalAveragePool", ["x"], ["y"])], outputs={"y": (1, 3, 1, 1)}
    )
    pictures = np.random.default_rng(1).random((11, 3, 16, 16), dtype=np.float32)
    (expected,) = load(graph, engine="onnxruntime").run(pictures)
    asked_before = len(library_with_gpu)

    options = replace(ON_CUDA, batch=8, precision=precision)
    engine = load(graph, options=options)
    engine.widen()
    (answers,) = engine.run(pictures)

    assert ("onnxruntime", precision, None) == (engine.name, engine.precision, engine.batch_size)
    assert [CPU_PROVIDER] * 2 + [PROVIDER] * 4 == [
        name for name, _ in library_with_gpu[asked_before:]
    ]
    np.testing.assert_array_equal(expected, answers)


def test_a_machine_without_a_gpu_is_refused_and_the_processor_is_not_asked(onnx_graph):
    """The library of the tests has no CUDA."""
    pytest.importorskip("onnxruntime", reason="the engine is not installed")
    graph = onnx_graph([helper.make_node("Relu", ["x"], ["y"])], outputs={"y": (1, 3, 16, 16)})

    with pytest.raises(SettingsError, match="the device cuda was asked for"):
        load(graph, options=ON_CUDA)
