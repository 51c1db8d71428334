"""Choosing an engine, and what happens when the choice cannot be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tintype.engines import catalog
from tintype.engines.catalog import check_engine, choose, load
from tintype.engines.engine import EngineOptions
from tintype.errors import SettingsError, UnsupportedModel
from tintype.types import Format, Graph, Quantisation, TensorSpec

PLAIN = Graph(
    format=Format.ONNX,
    source=Path("model.onnx"),
    input=TensorSpec(name="x", shape=(1, 3, 8, 8)),
    outputs=(TensorSpec(name="y", shape=(1, 2)),),
)
STORED = Quantisation(scale=0.5, zero_point=1)


@pytest.mark.parametrize(
    "kind", [kind for kind in Format if kind not in {Format.TFLITE, Format.TF_SERVING}]
)
def test_openvino_is_the_default(kind):
    """For every format of a file but quantised TFLite."""
    assert "openvino" == choose(replace(PLAIN, format=kind))[0]


def test_a_model_on_another_server_is_asked_there():
    """No engine of this machine can run it."""
    assert "tfserving" == choose(replace(PLAIN, format=Format.TF_SERVING))[0]


def test_float_tflite_goes_to_openvino_and_quantised_to_litert():
    """The reason is told in words."""
    flat = replace(PLAIN, format=Format.TFLITE)
    quantised = replace(flat, input=replace(flat.input, quantisation=STORED))

    assert "openvino" == choose(flat)[0]
    name, reason = choose(quantised)
    assert "litert" == name
    assert "quantised" in reason


def test_operations_that_only_litert_has_go_to_litert():
    """And are named."""
    name, reason = choose(replace(PLAIN, format=Format.TFLITE, litert_only=("Odd", "Even")))

    assert "litert" == name
    assert "Odd, Even" in reason


def test_an_unknown_engine_is_refused_with_the_known_ones():
    """A flag that cannot be used."""
    with pytest.raises(SettingsError, match=r"'warp'.*litert, onnxruntime, openvino"):
        load(PLAIN, engine="warp")


def test_a_library_that_is_missing_is_refused_with_the_extra(monkeypatch):
    """What to install is told."""

    def absent(_graph: object, _options: object) -> object:
        raise ModuleNotFoundError("No module named 'onnxruntime'")

    monkeypatch.setitem(catalog._LOADERS, "onnxruntime", absent)

    with pytest.raises(SettingsError, match="not installed") as refusal:
        load(PLAIN, engine="onnxruntime")

    assert "tintype[onnxruntime]" in str(refusal.value.hint)


@pytest.mark.parametrize(
    ("engine", "kind"),
    [
        ("litert", Format.ONNX),
        ("onnxruntime", Format.TFLITE),
        ("openvino", Format.KERAS_HDF5),
    ],
)
def test_an_engine_that_cannot_read_the_format_says_so(engine, kind):
    """Before any library is imported."""
    with pytest.raises(UnsupportedModel, match=f"{engine} cannot read {kind}"):
        load(replace(PLAIN, format=kind), engine=engine)


def test_a_keras_file_goes_as_the_onnx_graph_made_of_it():
    """The format is the file's; what the engine gets are the bytes of a graph."""
    keras = replace(PLAIN, format=Format.KERAS_HDF5, source=b"no graph")

    with pytest.raises(UnsupportedModel, match="cannot read this"):
        load(keras)


@pytest.mark.parametrize(
    "wrong", [{"threads": -1}, {"streams": 100_000}, {"nice": 20}, {"max_activation_bytes": 0}]
)
def test_options_out_of_range_are_refused_by_name(wrong):
    """The message names the field."""
    with pytest.raises(SettingsError, match=rf"^engine\.{next(iter(wrong))}"):
        EngineOptions(**wrong)


def test_only_onnx_runtime_runs_on_a_gpu():
    """For every format, so that what it cannot read is refused and not run elsewhere."""
    keras = replace(PLAIN, format=Format.KERAS_HDF5, source=b"graph")
    flat = replace(PLAIN, format=Format.TFLITE)
    for graph in (PLAIN, keras, flat):
        name, reason = choose(graph, device="cuda")
        assert "onnxruntime" == name
        assert "cuda" in reason
    check_engine("onnxruntime", PLAIN, device="cuda")
    check_engine("onnxruntime", keras, device="cuda")


@pytest.mark.parametrize(
    ("engine", "kind"), [("openvino", Format.ONNX), ("onnxruntime", Format.TFLITE)]
)
def test_what_cannot_run_on_a_gpu_is_refused_with_the_way_out(engine, kind):
    """Never run on the processor in silence."""
    with pytest.raises(UnsupportedModel, match=f"cuda .*{engine} cannot run {kind}") as refusal:
        check_engine(engine, replace(PLAIN, format=kind), device="cuda")

    assert 'device = "cpu"' in str(refusal.value.hint)


def test_a_model_on_another_server_runs_there_whatever_the_device():
    """It is not this machine's business."""
    assert "tfserving" == choose(replace(PLAIN, format=Format.TF_SERVING), device="cuda")[0]


@pytest.mark.parametrize("wrong", [{"device": "gpu"}, {"precision": "f16"}])
def test_words_that_are_not_known_are_refused_with_those_that_are(wrong):
    """The message names the field."""
    with pytest.raises(SettingsError, match=rf"^engine\.{next(iter(wrong))} .*expected one of"):
        EngineOptions(**wrong)
