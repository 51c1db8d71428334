"""Layers that hold layers: which ones, and where in the settings and in the zip form they lie.

Keras: ``layers/rnn/`` with ``bidirectional.py``, ``time_distributed.py``, ``rnn.py`` and
``stacked_rnn_cells.py``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from tintype.errors import ModelFileDamaged
from tintype.modelfiles.keras.names import snake_case


def wrapped_entries(kind: str, name: str, body: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The serialised layers that a layer of class ``kind`` wraps; none for all other layers.

    The keys are the groups below the wrapper's own in the zip form. Raises ModelFileDamaged where
    a wrapper holds nothing.
    """
    if kind == "TimeDistributed":
        return {"layer": _entry(name, body, "layer")}
    if kind == "Bidirectional":
        return _both_ways(name, body)
    if kind == "RNN":
        return {"cell": _entry(name, body, "cell")}
    return _cells(name, body) if kind == "StackedRNNCells" else {}


def _both_ways(name: str, body: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    forward = _named(_entry(name, body, "layer"), "forward_")
    if isinstance(body.get("backward_layer"), dict):
        return {"forward_layer": forward, "backward_layer": body["backward_layer"]}
    # Without one of its own, it is the forward layer the other way round.
    settings = dict(forward["config"])
    settings["go_backwards"] = not settings.get("go_backwards", False)
    backward = _named({**forward, "config": settings}, "backward_")
    return {"forward_layer": forward, "backward_layer": backward}


def _named(entry: Mapping[str, Any], prefix: str) -> Mapping[str, Any]:
    """``entry`` under the name that Bidirectional gives it."""
    settings = entry["config"]
    bare = str(settings.get("name", "layer")).removeprefix("forward_").removeprefix("backward_")
    return {**entry, "config": {**settings, "name": f"{prefix}{bare}"}}


def _cells(name: str, body: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    cells = body.get("cells")
    if not isinstance(cells, list) or not cells:
        raise ModelFileDamaged(f"layer {name!r} stacks no cells")
    used: Counter[str] = Counter()
    found: dict[str, Mapping[str, Any]] = {}
    for number, cell in enumerate(cells):
        entry = _entry(name, {"cells": cell}, "cells")
        base = snake_case(entry["class_name"])
        place = f"cells/{base}_{used[base]}" if used[base] else f"cells/{base}"
        used[base] += 1
        # Cells of one name would share their weights here; in Keras they do not.
        settings = {**entry["config"], "name": f"{entry['config'].get('name', base)}:{number}"}
        found[place] = {**entry, "config": settings}
    return found


def _entry(name: str, body: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    entry = body.get(key)
    settings = entry.get("config") if isinstance(entry, dict) else None
    if isinstance(entry, dict) and isinstance(settings, list):  # Sequential of Keras 2.0
        settings = {"name": "sequential", "layers": settings}
        entry = {**entry, "config": settings}
    if (
        not isinstance(entry, dict)
        or not isinstance(entry.get("class_name"), str)
        or not isinstance(settings, dict)
    ):
        raise ModelFileDamaged(f"layer {name!r} wraps no layer: {key} is {str(entry)[:60]}")
    return entry
