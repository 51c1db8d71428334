"""Convert a Keras file through the framework itself, in a child process, once for each content.

Only for people who said that they trust the file (``--allow-code``): loading it runs its code.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tintype.errors import ModelFileError, UnsupportedModel
from tintype.modelfiles.conversion.shield import Allowance

MAX_DIFFERENCE = 1e-4
"""Largest difference to the framework's own answers that is accepted."""

_CHILD = "tintype.modelfiles.conversion.child"
_FORM = "1"
"""Counted up when the graph of one and the same file would come out otherwise."""

_KEPT_VARIABLES = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_WRITTEN = ("model.pb", "result.json")
_MAX_RESULT_BYTES = 64 << 10
_INSTALL = "pip install 'tintype[tensorflow]'"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionLimits:
    """What the conversion may use; times in seconds, sizes in bytes."""

    wall_seconds: float = 600
    cpu_seconds: int = 900
    memory_bytes: int = 16 << 30
    file_bytes: int = 8 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """A frozen graph made by the framework, and the names of its ends.

    ``difference``: the largest of its answers to the framework's own on random pictures,
    relative where above 1. ``shield``: what kept the code in, in words.
    """

    graph: Path
    input: str
    output: str
    framework: str
    difference: float
    shield: str
    cached: bool


_LIMITS = ConversionLimits()


def convert_keras(
    path: Path,
    *,
    output: str | None = None,
    limits: ConversionLimits = _LIMITS,
    cache: Path | None = None,
) -> Converted:
    """Run the file's code and return the graph; ``output`` names one of several outputs.

    ``cache`` is a folder, the user's cache folder if not given. Raises UnsupportedModel where the
    framework is missing or refuses, ModelFileError where it does not end within ``limits``.
    """
    root = cache or cache_folder()
    kept = root / _key(path, output)
    if not (kept / "result.json").is_file():
        _check_installed()
        with _scratch(root) as scratch:
            _run_child(path, scratch, output, limits)
            _keep(scratch, kept)
        return _converted(kept, cached=False)
    return _converted(kept, cached=True)


def cache_folder() -> Path:
    """Where converted graphs are kept: XDG_CACHE_HOME or ~/.cache (XDG base directories)."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "tintype" / "converted"


def _key(path: Path, output: str | None) -> str:
    """A hash of all that the graph depends on: the content, never the name."""
    digest = hashlib.sha256(f"{_FORM} {path.suffix.lower()} {output or ''}\n".encode())
    files = sorted(entry for entry in path.rglob("*") if entry.is_file()) if path.is_dir() else []
    for file in files or [path]:
        digest.update(f"{file.relative_to(path)} {file.stat().st_size}\n".encode())
        with file.open("rb") as opened:
            while block := opened.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _check_installed() -> None:
    frameworks = [name for name in ("keras", "tf_keras") if importlib.util.find_spec(name)]
    if not frameworks or importlib.util.find_spec("tensorflow") is None:
        raise UnsupportedModel(
            "--allow-code converts the file through Keras and TensorFlow, and they are not "
            "installed",
            hint=_INSTALL,
        )


@contextmanager
def _scratch(root: Path) -> Iterator[Path]:
    """A folder of its own for one conversion, in the cache so that moving is renaming."""
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = Path(tempfile.mkdtemp(prefix="converting-", dir=root)).resolve()
    except OSError as error:
        raise ModelFileError(
            f"the cache folder {root} cannot be written: {error.strerror}",
            hint="XDG_CACHE_HOME names another place",
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _keep(scratch: Path, kept: Path) -> None:
    """Move what the child wrote into the cache; it may have put anything there."""
    with _scratch(kept.parent) as fresh:
        folder = fresh / "kept"
        folder.mkdir()
        for name in _WRITTEN:
            if (scratch / name).is_symlink() or not (scratch / name).is_file():
                raise UnsupportedModel(f"the framework's process wrote no {name}")
            (scratch / name).rename(folder / name)
        try:
            folder.rename(kept)
        except OSError:  # another process was faster, and made the same
            if not (kept / "result.json").is_file():
                raise


def _run_child(path: Path, scratch: Path, output: str | None, limits: ConversionLimits) -> None:
    allowance = Allowance(
        memory_bytes=limits.memory_bytes,
        cpu_seconds=limits.cpu_seconds,
        file_bytes=limits.file_bytes,
    )
    request = {
        "model": str(path.resolve()),
        "folder": str(scratch),
        "output": output,
        "allowance": asdict(allowance),
    }
    (scratch / "request.json").write_text(json.dumps(request), "utf-8")
    with (scratch / "output.txt").open("wb") as said:
        child = subprocess.Popen(  # noqa: S603 - our own module, with paths as arguments
            [sys.executable, "-P", "-s", "-m", _CHILD, str(scratch / "request.json")],
            cwd=scratch,
            env=_environment(scratch),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = child.wait(limits.wall_seconds)
        except subprocess.TimeoutExpired:
            raise _too_slow(limits.wall_seconds) from None
        finally:
            _end(child)
    result = _result(scratch)
    if code != 0 or result is None or "error" in result:
        raise _failed(code, result, scratch / "output.txt")


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the child and its session."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _environment(scratch: Path) -> dict[str, str]:
    """Nothing of the person's environment: tokens and keys live there."""
    package = Path(__file__).resolve().parents[3]
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return {
        **kept,
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "KERAS_HOME": str(scratch),
        "KERAS_BACKEND": "tensorflow",
        "PYTHONPATH": str(package),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
    }


def _result(folder: Path) -> dict[str, Any] | None:
    place = folder / "result.json"
    try:
        if place.is_symlink() or place.stat().st_size > _MAX_RESULT_BYTES:
            return None
        result = json.loads(place.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return result if isinstance(result, dict) else None


def _converted(folder: Path, *, cached: bool) -> Converted:
    result = _result(folder) or {}
    try:
        converted = Converted(
            graph=folder / "model.pb",
            input=str(result["input"]),
            output=str(result["output"]),
            framework=str(result["framework"]),
            difference=float(result["difference"]),
            shield=str(result["shield"]),
            cached=cached,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"the converted graph in {folder} is damaged", hint="remove that folder"
        ) from error
    if not converted.difference <= MAX_DIFFERENCE:
        raise UnsupportedModel(
            f"converted by {converted.framework}, the graph answers otherwise than the model: the "
            f"largest difference is {converted.difference:.2g}, allowed are {MAX_DIFFERENCE:g}",
            hint="code that draws random numbers cannot be turned into a graph",
        )
    return converted


def _too_slow(seconds: float) -> ModelFileError:
    return ModelFileError(
        f"the framework did not convert the file within {seconds:g} seconds and was stopped",
        hint="its code may never end; convert it to ONNX where it was trained",
    )


def _failed(code: int, result: dict[str, Any] | None, said: Path) -> UnsupportedModel:
    if result is not None and "error" in result:
        why = str(result["error"])[:1500]
    elif code == -signal.SIGXCPU:
        why = "it used more CPU time than allowed"
    elif code < 0:
        why = f"it was stopped by signal {-code} ({signal.Signals(-code).name})"
    else:
        why = said.read_text("utf-8", errors="replace")[-600:].strip() or f"exit code {code}"
    return UnsupportedModel(
        f"the framework could not convert the file: {' '.join(why.split())}",
        hint="convert it to ONNX or to a SavedModel where it was trained",
    )
