"""docs/reference/keras-layers.md names every layer that Keras has, and what is done with it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[4]

NOT_YET: frozenset[str] = frozenset()
"""Layers nobody has written yet. A new Keras release adds to them, and this test says so."""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("keras_layers", ROOT / "docs/keras_layers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_script_writes(script, keras2, keras3) -> None:
    """Write it anew with ``python docs/keras_layers.py``."""
    written = script.page(script.public_layers(keras3.layers), script.public_layers(keras2.layers))
    assert written == script.PAGE.read_text("utf-8")


def test_every_public_layer_has_a_state(script, keras2, keras3) -> None:
    """A layer that is neither read nor refused in words is missing, and known to be."""
    kinds = {
        *script.public_layers(keras3.layers).values(),
        *script.public_layers(keras2.layers).values(),
    }
    missing = {kind for kind in kinds if script.state_of(kind)[0] == "missing"}
    assert missing <= NOT_YET
