"""A graph in int8, by NNCF: weights and activations in 8 bits, ranges from the samples.

NNCF is the extra ``tintype[tune]``, imported here and nowhere else: only ``tintype tune`` needs it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tintype.engines.engine import EngineOptions
from tintype.engines.openvino import load_openvino, open_graph
from tintype.engines.openvino_import import import_openvino
from tintype.errors import SettingsError, UnsupportedModel
from tintype.types import Graph, Tensor


def check_installed() -> None:
    """Raise SettingsError where NNCF is not there."""
    if importlib.util.find_spec("nncf") is None:
        raise SettingsError(
            "int8 needs NNCF, which is not installed",
            hint="pip install 'tintype[tune]'; or leave int8 out: --no-int8",
        )


def quantise(
    graph: Graph, files: Sequence[Path], *, row_of: Callable[[Path], Tensor], out: Path
) -> None:
    """Write ``graph`` in int8 to ``out`` (.xml, with its .bin), what stays real kept in f32.

    ``files`` are the pictures whose activations give the ranges, ``row_of`` makes their rows.
    Raises UnsupportedModel where NNCF cannot.
    """
    engine = load_openvino(graph, EngineOptions())
    size = engine.batch_size
    engine.close()
    model = open_graph(graph, batch_size=size)
    with _quiet():
        import nncf  # noqa: PLC0415 - an extra, and slow to import

        nncf.set_log_level(logging.ERROR)
        try:
            quantised = nncf.quantize(
                model,
                nncf.Dataset(files, lambda file: _batch(row_of(file), size)),
                preset=nncf.QuantizationPreset.MIXED,
                subset_size=len(files),
            )
        except Exception as error:
            raise UnsupportedModel(f"NNCF cannot quantise the graph: {_line(error)}") from error
    _name_ends(quantised, graph)
    import_openvino().save_model(quantised, out, compress_to_fp16=False)


def _batch(row: Tensor, size: int | None) -> Tensor:
    return np.repeat(row[np.newaxis], size or 1, axis=0)


def _name_ends(model: Any, graph: Graph) -> None:
    """Give input and outputs the names that they are asked by."""
    for place, spec in zip(
        (*model.inputs, *model.outputs), (graph.input, *graph.outputs), strict=True
    ):
        place.add_names({spec.name})


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1][:300]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep NNCF from drawing on stdout, and from telling its makers that it was used.

    With this variable set while it is imported, NNCF sends nothing (nncf/telemetry/wrapper.py).
    """
    before = os.environ.get("NNCF_CI")
    os.environ["NNCF_CI"] = "1"
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        if before is None:
            del os.environ["NNCF_CI"]
        else:
            os.environ["NNCF_CI"] = before
