"""Has Tintype lost its speed? Its CPU time a request beside the bare loop's, in half a minute.

.venv/bin/python bench/serving/guard.py [--rounds 2]

Needs nothing that is not in the repository. Server and bare loop take turns, a second each, and
the cheapest turn of each counts: other work on the machine can only make a turn dearer. Prints for
each bundled model the share of the limit for the same CPU time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from contenders import TINTYPE_HERE
from cores import PINNED, on
from generator import Load, request
from materials import ROOT, Body
from server import running

DEMO: Final = ROOT / "src" / "tintype" / "demo"
MODELS: Final = ("cats-dogs", "colours")
_CLIENTS: Final = 8
_SECONDS: Final = 1.0


def share_of_limit(model: Path, picture: Path, *, rounds: int) -> dict[str, float]:
    """CPU milliseconds a picture of the bare loop and of the server, and their ratio."""
    sent = Body(file=picture, content_type="image/jpeg")
    limits, costs = [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        running(
            TINTYPE_HERE, model=model, materials=Path(folder), body=sent, layout=PINNED
        ) as server,
        asyncio.Runner() as runner,
    ):
        whole = request(TINTYPE_HERE.path, picture.read_bytes())
        for number in range(rounds + 1):
            load, used = Load(urlsplit(server.url).port or 80, whole), server.cpu_seconds()
            tally = runner.run(load.one_by_one(_SECONDS, clients=_CLIENTS))
            if number:  # the first one warms it
                costs.append(1000 * (server.cpu_seconds() - used) / max(1, len(tally.answered)))
                limits.append(_bare(model, picture))
    return {
        "limit_ms": min(limits),
        "served_ms": min(costs),
        "cpu_of_limit": min(limits) / min(costs),
    }


def _bare(model: Path, picture: Path) -> float:
    words = [sys.executable, str(Path(__file__).with_name("limit.py")), str(model), str(picture)]
    words += ["--layouts", "1x1x1", "--seconds", str(_SECONDS)]
    ran = subprocess.run(
        on(PINNED.server, words), check=True, capture_output=True, text=True, timeout=60
    )
    return float(json.loads(ran.stdout)["1x1x1"]["cpu_ms"])


def main() -> None:
    """Print the figures of every model as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    picture = DEMO / "pictures" / "cat.jpg"
    found = {
        name: share_of_limit(DEMO / "models" / name, picture, rounds=options.rounds)
        for name in MODELS
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
