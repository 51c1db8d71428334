"""A virtual environment for each server, made once and kept between runs.

They lie in the folder that TINTYPE_BENCH_ENVIRONMENTS names, or in ~/.cache/tintype-bench.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

FOLDER: Final = Path(
    os.environ.get("TINTYPE_BENCH_ENVIRONMENTS", "~/.cache/tintype-bench")
).expanduser()
_PATIENCE: Final = 900.0


def programs(name: str, packages: tuple[str, ...], *, python: str = "") -> Path:
    """The folder of an environment's programs; an unnamed one is this program's own.

    ``python`` is the interpreter it is made with; empty for the one that runs this.
    Raises RuntimeError with the installer's words where ``packages`` cannot be installed.
    """
    if not name:
        return Path(sys.executable).parent
    venv = FOLDER / name
    made, wanted = venv / "made", "\n".join((*sorted(packages), python))
    if not made.exists() or made.read_text() != wanted:
        _uv("venv", "--clear", "--python", python or sys.executable, str(venv))
        _uv("pip", "install", "--python", str(venv / "bin" / "python"), *packages)
        made.write_text(wanted)
    return venv / "bin"


def _uv(*words: str) -> None:
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise RuntimeError("uv is not there; `make bench` installs it into .venv")
    ran = subprocess.run(
        [uv, *words, "-q"], check=False, capture_output=True, text=True, timeout=_PATIENCE
    )
    if ran.returncode:
        raise RuntimeError(f"uv {words[0]} failed: {ran.stderr[-1500:]}")
