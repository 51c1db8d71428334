"""Tensors have not changed since golden.json was written: the canary for upgrades."""

import base64
import json
from pathlib import Path

from tintype.imaging.presets import PRESETS

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text())
PICTURES = {name: base64.b64decode(text) for name, text in GOLDEN["pictures"].items()}


def test_tensors_are_as_they_were(fingerprints_of):
    """Every preset makes the same tensor, bit for bit, of every picture kept."""
    assert GOLDEN["tensors"] == fingerprints_of(PICTURES)


def test_no_preset_is_left_out():
    """A new preset needs fingerprints: run make_golden.py."""
    for presets in GOLDEN["tensors"].values():
        assert list(PRESETS) == list(presets)
