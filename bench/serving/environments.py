"""A virtual environment for each server, made once and kept between runs.

They lie in the folder that TINTYPE_BENCH_ENVIRONMENTS names, or in ~/.cache/tintype-bench.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

FOLDER: Final = Path(
    os.environ.get("TINTYPE_BENCH_ENVIRONMENTS", "~/.cache/tintype-bench")
).expanduser()
ROOT: Final = Path(__file__).parent.parent.parent
_PATIENCE: Final = 900.0


def programs(name: str, packages: tuple[str, ...], *, python: str = "") -> Path:
    """The folder of an environment's programs; an unnamed one is this program's own.

    ``packages``: requirements and flags of ``uv pip install``, run in the project's root.
    ``python`` is the interpreter it is made with; empty for the one that runs this.
    Raises RuntimeError with the installer's words where ``packages`` cannot be installed.
    """
    if not name:
        return Path(sys.executable).parent
    venv = FOLDER / name
    tree = (_fingerprint(ROOT / "src"),) if "." in packages else ()
    made, wanted = venv / "made", "\n".join((*sorted(packages), python, *tree))
    if not made.exists() or made.read_text() != wanted:
        _uv("venv", "--clear", "--python", python or sys.executable, str(venv))
        words = ("--compile-bytecode", "--python", str(venv / "bin" / "python"))  # as pip does
        _uv("pip", "install", *words, *packages)
        made.write_text(wanted)
    return venv / "bin"


def _fingerprint(folder: Path) -> str:
    """Of every file in it: another tree, or a changed one, is installed anew."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            whole.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return whole.hexdigest()


def _uv(*words: str) -> None:
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise RuntimeError("uv is not there; `make bench` installs it into .venv")
    ran = subprocess.run(
        [uv, *words, "-q"],
        check=False,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        cwd=ROOT,
    )
    if ran.returncode:
        raise RuntimeError(f"uv {words[0]} failed: {ran.stderr[-1500:]}")
