"""The benchmark of serving is a folder of scripts; its modules are imported by file."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture
def serving(monkeypatch):
    """A function that imports a module of the benchmark of serving by its name."""
    return _importer(BENCH / "serving", monkeypatch)


@pytest.fixture
def bench(monkeypatch):
    """A function that imports another benchmark by its name."""
    return _importer(BENCH, monkeypatch)


def _importer(folder: Path, monkeypatch):
    def load(name: str) -> ModuleType:
        monkeypatch.syspath_prepend(str(folder))
        spec = importlib.util.spec_from_file_location(f"bench_{name}", folder / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        return module

    return load
