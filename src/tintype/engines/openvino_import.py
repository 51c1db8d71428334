"""The one place where the ``openvino`` package is imported."""

from __future__ import annotations

import sys
from typing import Any, Final

_TOOLS: Final = "openvino.tools.ovc"


def import_openvino() -> Any:
    """The package, without its model converter.

    The converter is not used here, takes as long to import as all the rest, and tells Google
    Analytics of every import: it keeps a client id in ``~/intel`` and sends from a child process
    (``openvino_telemetry``, on unless a person opts out). OpenVINO does without it where it is not
    installed, and None in ``sys.modules`` says just that (Python's reference, "The import system").
    Who imports it later gets it as ever.
    """
    absent = _TOOLS not in sys.modules
    if absent:
        sys.modules[_TOOLS] = None  # type: ignore[assignment]
    try:
        import openvino  # noqa: PLC0415 - takes long to import, and other engines do without
    finally:
        if absent:
            sys.modules.pop(_TOOLS, None)  # another thread may have been quicker
    return openvino
