"""The benchmark of serving is a folder of scripts; its modules are imported by file."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SERVING = Path(__file__).parents[2] / "bench" / "serving"


@pytest.fixture
def serving(monkeypatch):
    """A function that imports a module of the benchmark by its name."""

    def load(name: str) -> ModuleType:
        monkeypatch.syspath_prepend(str(SERVING))
        spec = importlib.util.spec_from_file_location(f"bench_{name}", SERVING / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        return module

    return load
