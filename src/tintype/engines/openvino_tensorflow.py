"""OpenVINO's TensorFlow front end: a graph cut at any tensor, any signature, a free batch size.

What was found by trying (OpenVINO 2026.4), and what this module rests on:

* Frozen graphs: a place is any tensor ``operation:port``. Overriding inputs and outputs cuts the
  graph there, so operations outside the cut need no translator.
* A fixed batch size is freed best before converting, then by ``Model.reshape``, which also mends
  ``Reshape`` to a constant ``[1, n]`` in front of a matrix product. Shape inference tells whether
  the outputs follow.
* SavedModels: only places of the front end's own signature (``serving_default``, or all where
  there is none) work. Any other signature, and any tensor in the middle, is reached through a
  copy of ``saved_model.pb`` that declares just these tensors as ``serving_default``, beside the
  same variables.
* The order of overridden outputs is kept; their names are not, so they are set again here.
* An input override hides further inputs; those are given values instead (``Graph.held``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tintype.engines.openvino_import import import_openvino
from tintype.engines.openvino_saved_model import saved_model_for
from tintype.errors import ModelFileDamaged, UnsupportedModel
from tintype.types import Format, Graph, TensorSpec

_OPENVINO_TYPES = {
    "float16": "f16",
    "float32": "f32",
    "float64": "f64",
    "int8": "i8",
    "int32": "i32",
    "int64": "i64",
    "uint8": "u8",
    "bool": "boolean",
}

_LACKING = "No conversion rule found for operations"

_PROBE_BATCH = 3
"""A batch size no file is likely to fix: outputs that follow it have a free batch."""


def read_tensorflow(_core: Any, graph: Graph) -> Any:
    """An ``openvino.Model`` from ``graph.input`` (its only input) to ``graph.outputs``.

    Outputs keep their order; inputs and outputs carry the names of their specs. The batch axis is
    free where the graph follows any batch size, else it is what ``graph.input.shape`` says, or 1.
    Raises UnsupportedModel naming operations without translator, ModelFileDamaged for a tensor
    that is not in the file.
    """
    if not isinstance(graph.source, Path):
        raise ModelFileDamaged("a TensorFlow graph is read from its file or folder, not from bytes")
    failures = _failures()
    with _readable(graph, graph.source) as path:
        try:
            # free it before converting: a fixed batch size would be folded into constants
            free = _convert(path, graph, batch=None)
            if _follows_batch(free, graph):
                return _named(free, graph)
        except failures as error:
            # a missing translator is missing for every batch size
            if _LACKING in str(error):
                raise _refusal(error) from error
        try:
            return _named(_convert(path, graph, batch=graph.input.shape[0] or 1), graph)
        except failures as error:
            raise _refusal(error) from error


def _convert(path: Path, graph: Graph, *, batch: int | None) -> Any:
    front_end = import_openvino().frontend.FrontEndManager().load_by_framework("tf")
    tensors = front_end.load(str(path))
    held = [(_place(tensors, held.name), held.value) for held in graph.held]
    start = _place(tensors, graph.input.name)
    tensors.override_all_outputs([_place(tensors, output.name) for output in graph.outputs])
    tensors.override_all_inputs([start, *(place for place, _ in held)])
    tensors.set_partial_shape(start, _partial_shape(graph.input, batch))
    tensors.set_element_type(start, _element_type(graph.input))
    for place, value in held:
        dtype = tensors.get_element_type(place).to_dtype()
        tensors.set_tensor_value(place, np.array(value, dtype=dtype))
    return front_end.convert(tensors)


def _place(tensors: Any, name: str) -> Any:
    place = tensors.get_place_by_tensor_name(_with_port(name))
    if place is None:
        raise ModelFileDamaged(f"the graph has no tensor {name!r}")
    return place


def _with_port(name: str) -> str:
    return name if ":" in name else f"{name}:0"


def _partial_shape(spec: TensorSpec, batch: int | None) -> Any:
    sides = (batch, *spec.shape[1:])
    return import_openvino().PartialShape([-1 if side is None else side for side in sides])


def _element_type(spec: TensorSpec) -> Any:
    return getattr(import_openvino().Type, _OPENVINO_TYPES[spec.dtype])


def _follows_batch(model: Any, graph: Graph) -> bool:
    """Whether every output gets as many rows as the input, found by inferring shapes.

    An output whose length cannot be inferred (a loop, a suppression of boxes) is believed only
    where the file itself leaves the batch size free.
    """
    model.reshape({0: _partial_shape(graph.input, _PROBE_BATCH)})
    declared_free = graph.input.shape[0] is None
    for output in model.outputs:
        shape = output.partial_shape
        if shape.rank.is_static and shape.rank.get_length() == 0:
            return False
        if shape.rank.is_dynamic or shape[0].is_dynamic:
            if not declared_free:
                return False
        elif shape[0].get_length() != _PROBE_BATCH:
            return False
    model.reshape({0: _partial_shape(graph.input, None)})
    return True


def _named(model: Any, graph: Graph) -> Any:
    if len(model.outputs) != len(graph.outputs):
        # the front end leaves constants out, and then nothing tells which output is which
        raise UnsupportedModel(
            f"{len(graph.outputs) - len(model.outputs)} of the {len(graph.outputs)} outputs do "
            "not depend on the picture: OpenVINO leaves out what is constant",
            hint="name another output with --output",
        )
    ends = (
        *zip(model.inputs, (graph.input,), strict=True),
        *zip(model.outputs, graph.outputs, strict=True),
    )
    for end, spec in ends:
        end.get_tensor().add_names({spec.name})
    return model


def _failures() -> tuple[type[Exception], ...]:
    """What the front end raises. Most of these are no RuntimeError."""
    frontend = import_openvino().frontend
    return (
        RuntimeError,
        frontend.GeneralFailure,
        frontend.InitializationFailure,
        frontend.NotImplementedFailure,
        frontend.OpConversionFailure,
        frontend.OpValidationFailure,
    )


def _refusal(error: Exception) -> UnsupportedModel:
    """The front end's words, shortened to the operations it lacks or to the last line."""
    said = [line.strip() for line in str(error).splitlines() if line.strip()]
    lacking = [line for line in said if _LACKING in line]
    words = (
        f"OpenVINO has no translator for {lacking[0].split(':', 1)[1].strip()}"
        if lacking
        else f"OpenVINO cannot convert the TensorFlow graph: {(said or ['no reason'])[-1]}"
    )
    hint = "convert it to ONNX or TFLite with the framework that wrote it"
    return UnsupportedModel(words[:400], hint=hint)


@contextlib.contextmanager
def _readable(graph: Graph, source: Path) -> Iterator[Path]:
    """The path to hand to the front end: the model itself, or a copy that names our tensors."""
    if graph.format is Format.TF_FROZEN_GRAPH:
        yield source
    else:
        with saved_model_for(graph, source if source.is_dir() else source.parent) as folder:
            yield folder
