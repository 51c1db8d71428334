"""A served model: what it keeps and what it gives back."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

from tintype.batching.policy import BatchPolicy
from tintype.engines.engine import EngineOptions
from tintype.models.card_reader import read_card
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
