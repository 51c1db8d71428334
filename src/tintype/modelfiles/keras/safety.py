"""Code in a Keras file: found by reading, never decoded, never run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tintype.errors import UnsafeModel

_HINT = (
    "rewrite the layer with Keras' own layers (Rescaling, Resizing, Reshape, ...) or export the "
    "model as ONNX, then try again"
)
ALLOW_CODE = "allow-code"
"""The fact ``way_out`` of an error: the framework itself could convert the file."""

WAY_OUT_HINT = (
    "; or, if you trust whoever made the file, --allow-code converts it through Keras itself"
)
_CODE_CLASSES = frozenset({"Lambda", "__lambda__", "PyFunc", "EagerPyFunc"})


def refuse_code(*, kind: str, name: str, entry: Mapping[str, Any]) -> None:
    """Raise UnsafeModel where a layer is, or carries, Python code.

    Keras stores a ``Lambda`` as marshalled bytecode (``__lambda__``, ``function_type: lambda``),
    which anybody can make do anything. Settings of a layer may hold the same.
    """
    if kind in _CODE_CLASSES:
        raise UnsafeModel(
            f"layer {name!r} is a {kind}: it holds Python code, which is never run",
            hint=_HINT + WAY_OUT_HINT,
            way_out=ALLOW_CODE,
        )
    place = _code_in(entry)
    if place is not None:
        raise UnsafeModel(
            f"layer {name!r} holds Python code in {place!r}, which is never run",
            hint=_HINT + WAY_OUT_HINT,
            way_out=ALLOW_CODE,
        )


def _code_in(entry: Mapping[str, Any]) -> str | None:
    """Where bytecode hides in a layer's own settings (nested layers are looked at on their own)."""
    pending: list[tuple[str, Any]] = [("config", entry.get("config"))]
    while pending:
        place, value = pending.pop()
        if isinstance(value, list):
            pending.extend((place, item) for item in value)
        elif isinstance(value, dict):
            if (
                str(value.get("class_name")) in _CODE_CLASSES
                or value.get("function_type") == "lambda"
            ):
                return place
            pending.extend((str(key), item) for key, item in value.items() if key != "layers")
    return None
