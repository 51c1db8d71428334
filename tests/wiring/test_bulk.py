"""Models loaded for work in bulk: every processor at work, and nothing left behind."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import tintype
from tintype.cores import usable_cores
from tintype.engines.engine import EngineOptions
from tintype.errors import ModelFileError, ModelUnavailable
from tintype.models.library import find_cards
from tintype.models.plan import plan_model
from tintype.predict import PredictRequest
from tintype.settings import Settings
from tintype.types import Prediction
from tintype.wiring.bulk import direct, loaded, threads_for, throughput

DEMO = Path(tintype.__file__).parent / "demo"


def test_models_answer_until_they_are_closed():
    """In the order of their plans; afterwards they are away."""
    plans = tuple(plan_model(card) for card in find_cards((DEMO / "models",)))
    picture = (DEMO / "pictures/cat.jpg").read_bytes()
    with loaded(plans, settings=Settings()) as hosts:
        ask = direct(hosts, settings=Settings())
        (told,) = ask.answer([picture], PredictRequest(image=b""))
        assert usable_cores() < threads_for(hosts)
    assert isinstance(told, Prediction)
    assert [plan.card.name for plan in plans] == [each.model for each in told.results]
    with pytest.raises(ModelUnavailable):
        ask.answer([picture], PredictRequest(image=b""))


def test_none_may_be_absent(tmp_path: Path):
    """A model that was found and cannot be loaded stops the start: its rows would be missing."""
    models = tmp_path / "models"
    shutil.copytree(DEMO / "models", models)
    plans = tuple(plan_model(card) for card in find_cards((models,)))
    refused = replace(plans[1], engine="onnxruntime", card=replace(plans[1].card, found=True))
    graph = replace(plans[1].description.graph, source=b"no graph")
    broken = replace(refused, description=replace(plans[1].description, graph=graph))
    with (
        pytest.raises(ModelFileError),
        loaded((plans[0], broken), settings=Settings()),
    ):
        pass


def test_engines_are_laid_out_for_throughput():
    """A stream a thread, unless somebody said otherwise."""
    wide = throughput(EngineOptions())
    assert (usable_cores(), usable_cores()) == (wide.threads, wide.streams)
    one = throughput(EngineOptions(threads=1))
    assert (1, 1) == (one.threads, one.streams)
    set_so = throughput(EngineOptions(threads=8, streams=2))
    assert (8, 2) == (set_so.threads, set_so.streams)
