"""Which engine runs a graph, and the only place that knows them all."""

from __future__ import annotations

from collections.abc import Callable

from tintype.engines.engine import CPU, Engine, EngineOptions
from tintype.engines.litert import load_litert
from tintype.engines.onnxruntime import load_onnxruntime
from tintype.engines.openvino import load_openvino
from tintype.engines.pooled import is_quantised
from tintype.errors import SettingsError, UnsupportedModel
from tintype.types import Format, Graph

_DEFAULTS = EngineOptions()


def _load_tfserving(graph: Graph, options: EngineOptions) -> Engine:
    from tintype.engines.tfserving.engine import load_tfserving  # noqa: PLC0415 - few are remote

    return load_tfserving(graph, options)


_LOADERS: dict[str, Callable[[Graph, EngineOptions], Engine]] = {
    "openvino": load_openvino,
    "litert": load_litert,
    "onnxruntime": load_onnxruntime,
    "tfserving": _load_tfserving,
}

_FORMATS = {
    "openvino": frozenset(Format) - {Format.KERAS_HDF5, Format.KERAS_ZIP, Format.TF_SERVING},
    "litert": frozenset({Format.TFLITE}),
    "onnxruntime": frozenset({Format.ONNX}),
    "tfserving": frozenset({Format.TF_SERVING}),
}

_ON_GPU = "onnxruntime"
"""The only engine that runs on anything but the processor."""

_PACKAGES = {
    "openvino": "openvino",
    "litert": "ai-edge-litert",
    "onnxruntime": "'tintype[onnxruntime]'",
    "tfserving": "'tintype[tfserving]'",
}


def load(graph: Graph, *, engine: str | None = None, options: EngineOptions = _DEFAULTS) -> Engine:
    """Load ``graph`` into the engine asked for, or into the one that ``choose`` names.

    Raises SettingsError for an unknown name, and for a library or a GPU that is not there,
    UnsupportedModel where the engine cannot run the graph, ModelFileTooLarge for a graph whose
    tensors pass ``options.max_activation_bytes``.
    """
    name = engine or choose(graph, device=options.device)[0]
    check_engine(name, graph, device=options.device)
    try:
        return _LOADERS[name](graph, options)
    except ImportError as error:
        raise SettingsError(
            f"the engine {name} is not installed ({error})", hint=f"pip install {_PACKAGES[name]}"
        ) from error


def check_engine(name: str, graph: Graph, *, device: str = CPU) -> None:
    """Refuse an engine that is not known, or cannot run a graph of this format on ``device``.

    Raises SettingsError, UnsupportedModel. Nothing is imported or loaded.
    """
    if name not in _LOADERS:
        known = ", ".join(sorted(_LOADERS))
        raise SettingsError(f"there is no engine {name!r}; known are: {known}", hint="--engine")
    kind = Format.ONNX if isinstance(graph.source, bytes) else graph.format
    if device != CPU and (name != _ON_GPU or kind not in _FORMATS[name]):
        raise UnsupportedModel(
            f"the device {device} was asked for, and the engine {name} cannot run {kind} graphs "
            f"on it: {_ON_GPU} can, with ONNX and Keras files",
            hint='device = "cpu" in its card, or an ONNX file of the model',
        )
    if kind not in _FORMATS[name]:
        takes = ", ".join(sorted(_FORMATS[name]))
        raise UnsupportedModel(
            f"the engine {name} cannot read {kind} graphs; it reads: {takes}",
            hint="leave --engine out and the right one is taken",
        )


def choose(graph: Graph, *, device: str = CPU) -> tuple[str, str]:
    """The engine for ``graph`` and the reason, in words. Figures: docs/decisions/0006."""
    if graph.format is Format.TF_SERVING:
        return "tfserving", "another server runs the model"
    if device != CPU:
        return _ON_GPU, f"the engine that runs on {device}"
    if graph.litert_only:
        operations = ", ".join(graph.litert_only)
        return "litert", f"only LiteRT has the operations {operations}"
    if graph.format is Format.TFLITE and is_quantised(graph):
        return "litert", "the graph is quantised, and LiteRT computes in its integers exactly"
    return "openvino", "the fastest measured engine that gives the right answers"
