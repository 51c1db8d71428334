"""A served model: what it keeps and what it gives back."""

from __future__ import annotations

import asyncio
import gc
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tintype.batching.policy import BatchPolicy
from tintype.engines.engine import EngineOptions
from tintype.engines.fake import FakeEngine
from tintype.models.card import Card
from tintype.models.card_reader import read_card
from tintype.models.fake import fake_plan
from tintype.models.host import ModelHost
from tintype.models.info import Health
from tintype.models.plan import plan_model

PETS = Path(__file__).resolve().parents[2] / "src/tintype/demo/models/cats-dogs/model.toml"


async def test_a_loaded_model_keeps_no_second_copy_of_its_graph():
    """The engine has the weights; the graph made of the file is let go."""
    plan = plan_model(read_card(PETS))
    source = plan.description.graph.source
    async with ModelHost(plan, policy=BatchPolicy(), options=EngineOptions()) as host:
        del plan
        gc.collect()
        assert Health.READY is host.health
        assert b"" == host.plan.description.graph.source
        ours_and_the_call_s = 2
        assert ours_and_the_call_s == sys.getrefcount(source)


def hosting(engine: FakeEngine, *, expects_company: bool) -> ModelHost:
    return ModelHost(
        fake_plan(Card(name="a", file=PETS)),
        policy=BatchPolicy(),
        options=EngineOptions(),
        engine=engine,
        expects_company=expects_company,
    )


@pytest.mark.parametrize("company", [False, True])
async def test_a_server_s_engine_is_made_ready_for_company_once_it_answers(company):
    """A program that asks once and leaves does not wait for that."""
    engine = FakeEngine()
    async with hosting(engine, expects_company=company) as host:
        assert Health.READY is host.health
        assert company == await asyncio.to_thread(engine.widened.wait, 10 if company else 1.5)


async def test_who_leaves_at_once_is_not_kept_by_it():
    """Nothing is made ready that nobody will ask."""
    engine = FakeEngine()
    async with hosting(engine, expects_company=True):
        pass
    assert not engine.widened.is_set()


async def test_on_a_gpu_a_server_s_engine_is_ready_for_company_before_it_answers():
    """The first batch of each size takes long, and others would wait for it."""
    engine = FakeEngine()
    host = ModelHost(
        replace(fake_plan(Card(name="a", file=PETS)), device="cuda"),
        policy=BatchPolicy(),
        options=EngineOptions(),
        engine=engine,
        expects_company=True,
    )
    async with host:
        assert engine.widened.is_set()
        assert 64 == host.rows_at_once


async def test_on_a_gpu_who_asks_once_does_not_wait_for_all_sizes():
    """A command that answers a picture and ends."""
    engine = FakeEngine()
    host = ModelHost(
        replace(fake_plan(Card(name="a", file=PETS)), device="cuda"),
        policy=BatchPolicy(max_batch=16),
        options=EngineOptions(),
        engine=engine,
    )
    async with host:
        assert not engine.widened.is_set()
        assert 16 == host.rows_at_once
