"""OpenVINO is imported without what it does not need here."""

from __future__ import annotations

import subprocess
import sys


def _says(code: str) -> str:
    """What a process of its own prints: this one may have imported everything already."""
    ran = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    return ran.stdout.strip()


def test_nothing_that_tells_of_its_use_is_imported() -> None:
    """OpenVINO's converter would tell Google Analytics; its sender is not even imported."""
    code = """
import sys
from tintype.engines.openvino_import import import_openvino
import_openvino().Core()
print([name for name in sys.modules if "telemetry" in name or name.startswith("openvino.tools")])
"""
    assert _says(code) == "[]"


def test_whoever_wants_the_converter_gets_it() -> None:
    """Only this import does without it."""
    code = """
from tintype.engines.openvino_import import import_openvino
import_openvino()
import openvino_telemetry
openvino_telemetry.Telemetry.send_event = lambda *_: None  # a test tells nobody either
from openvino.tools import ovc
print(ovc.__name__)
"""
    assert _says(code) == "openvino.tools.ovc"
