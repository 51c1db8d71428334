"""Versions are swapped in a real process under load; nobody notices, and the memory comes back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


def test_ten_swaps_under_load_fail_no_request():
    """Two hundred connections ask all the time, over real sockets; every version answers some."""
    command = [ROOT / "bench/reload.py", "--clients", "200", "--swaps", "10", "--quiet", "1"]
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=300, check=True
    )
    told = json.loads(done.stdout)
    assert (0, ["200"], 11) == (told["failed"], [*told["statuses"]], told["versions"])
    assert 10 == len(told["swaps"])


KEEP = """
import asyncio, sys
from pathlib import Path
from tintype.batching.policy import BatchPolicy
from tintype.engines.engine import EngineOptions
from tintype.engines.give_back import give_back_memory
from tintype.models.card_reader import read_card
from tintype.models.host import ModelHost
from tintype.models.plan import plan_model

def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))

async def main(card, keep):
    kept = []
    for number in range(10):
        plan = await asyncio.to_thread(plan_model, card)
        host = ModelHost(plan, policy=BatchPolicy(), options=EngineOptions())
        del plan
        await host.__aenter__()
        if number == 1:
            begun = resident()
        if keep:
            kept.append(host)
        else:
            await host.__aexit__(None, None, None)
            await asyncio.to_thread(give_back_memory)
    print(resident() - begun)

asyncio.run(main(read_card(Path(sys.argv[1])), sys.argv[2] == "keep"))
"""


def test_the_memory_of_a_version_that_has_gone_comes_back():
    """Eight versions that end, one after the other, leave little of what eight that stay take."""
    card = ROOT / "src/tintype/demo/models/cats-dogs/model.toml"

    def growth(what: str) -> int:
        command = [sys.executable, "-c", KEEP, str(card), what]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        return int(done.stdout)

    assert growth("end") < 0.3 * growth("keep")
