"""Graphs in int8 by NNCF itself: loaded as a server loads them, and compared with f32."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import tintype
from tintype.engines.catalog import load
from tintype.engines.engine import EngineOptions
from tintype.errors import SettingsError
from tintype.imaging.limits import DecodeLimits
from tintype.models.card import Tuned
from tintype.models.card_reader import read_card
from tintype.models.plan import plan_model
from tintype.models.tuned import tuned_graph
from tintype.tuning.asking import Pictures
from tintype.tuning.quantise import check_installed, quantise

COLOURS = Path(tintype.__file__).parent / "demo/models/colours/model.toml"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, shades: Path):
    """The bundled colours in int8: the pictures, the graph, and what was printed meanwhile."""
    plan = plan_model(read_card(COLOURS))
    pictures = Pictures(plan=plan, read=Path.read_bytes, limits=DecodeLimits())
    out = tmp_path_factory.mktemp("int8") / "model.int8.xml"
    files = sorted(shades.rglob("*.png"))
    quantise(plan.description.graph, files[1::2], row_of=pictures.row, out=out)
    return pictures, files[::2], out


def test_the_graph_answers_as_f32_does(made):
    """The same colour for every picture it was not calibrated on; scores differ a little."""
    pictures, files, out = made
    graph = pictures.plan.description.graph
    plain = load(graph)
    small = load(tuned_graph(graph, Tuned(precision="int8", graph=out)))
    rows = np.stack([pictures.row(file) for file in files])
    (expected,), (told,) = plain.run(rows), small.run(rows)
    assert ("f32", "int8") == (plain.precision, small.precision)
    assert [*expected.argmax(axis=1)] == [*told.argmax(axis=1)]
    assert 0 < np.abs(expected - told).max() < 0.2


def test_what_stays_real_stays_in_f32(made):
    """OpenVINO halves what it saves unless told not to."""
    _, _, out = made
    types = {*re.findall(r'element_type="(\w+)"', out.read_text())}
    assert "f32" in types
    assert "f16" not in types
    assert {"i8", "u8"} & types


def test_nothing_is_printed_and_the_environment_stays(made, capfd, tmp_path):
    """NNCF draws on stdout, which belongs to ``--json``."""
    pictures, files, _ = made
    graph = pictures.plan.description.graph
    quantise(graph, files[:4], row_of=pictures.row, out=tmp_path / "again.xml")
    assert ("", "NNCF_CI" in os.environ) == (capfd.readouterr().out, False)


def test_batches_of_the_written_graph_answer_as_single_pictures(made):
    """It can be compiled for several pictures at once, too."""
    pictures, files, out = made
    graph = tuned_graph(pictures.plan.description.graph, Tuned(precision="int8", graph=out))
    rows = np.stack([pictures.row(file) for file in files[:7]])
    (alone,) = load(graph).run(rows)
    together = load(graph, options=EngineOptions(batch=4))
    np.testing.assert_allclose(alone, together.run(rows)[0], atol=1e-5)
    assert together.batch_size is None


def test_without_nncf_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    """And how to do without."""
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(SettingsError, match="NNCF") as caught:
        check_installed()
    assert "tintype[tune]" in caught.value.hint
    assert "--no-int8" in caught.value.hint
