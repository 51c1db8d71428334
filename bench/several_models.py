"""Several models asked about one picture: side by side against one after the other.

    .venv/bin/python bench/several_models.py [MODEL...] [--picture FILE] [--rounds 200]

Without MODEL, the two bundled ones. The models are loaded twice in one process, and both ways are
asked in turn. Shown are the median of the rounds, and the tenth that was fastest, which tells most
on a machine that does other work too. The picture is decoded once in either way: the time shown is
the whole request's. Read the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import tintype
from tintype.models.library import find_cards
from tintype.predict import Predictor, PredictPolicy, PredictRequest
from tintype.settings import Settings
from tintype.types import Point
from tintype.wiring.plans import LeftOut, make_plans
from tintype.wiring.running import running

DEMO = Path(tintype.__file__).with_name("demo")
WARM = 10
"""Rounds before the clock counts."""


def main() -> None:
    """Print the times of each way, and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=Path, default=[DEMO / "models"])
    parser.add_argument("--picture", type=Path, default=DEMO / "pictures/dog.jpg")
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    asked = PredictRequest(image=options.picture.read_bytes(), points=(Point(x=100, y=100),))
    names, times = asyncio.run(measure(tuple(options.models), asked, rounds=options.rounds))
    print(f"{len(names)} models: {', '.join(names)}")
    tenths = {way: statistics.quantiles(spent, n=10) for way, spent in times.items()}
    for name, place in (("fastest tenth", 0), ("median", 4)):
        together, series = tenths["side by side"][place], tenths["in series"][place]
        print(
            f"{name:14} side by side {1000 * together:7.2f} ms, in series {1000 * series:7.2f} ms, "
            f"ratio {series / together:.2f}"
        )


async def measure(
    models: tuple[Path, ...], asked: PredictRequest, *, rounds: int
) -> tuple[list[str], dict[str, list[float]]]:
    """Names of the models, and the seconds of every request, for each way."""
    ways = {"side by side": True, "in series": False}
    times: dict[str, list[float]] = {way: [] for way in ways}
    async with AsyncExitStack() as stack:
        predictors = {
            way: await stack.enter_async_context(served(models, parallel=parallel))
            for way, parallel in ways.items()
        }
        for number in range(rounds + WARM):
            for way, predictor in predictors.items():
                seconds = (await predictor.predict(asked)).seconds.total
                if number >= WARM:
                    times[way].append(seconds)
        names = [info.name for info in predictors["in series"].models()]
    return names, times


@asynccontextmanager
async def served(models: tuple[Path, ...], *, parallel: bool) -> AsyncIterator[Predictor]:
    """The models loaded, asked in that way."""
    settings = Settings(requests=PredictPolicy(parallel=parallel))
    plans = await make_plans(find_cards(models), left_out=leave)
    async with running(plans, settings=settings, left_out=leave) as services:
        yield services.predictor


def leave(left: LeftOut) -> None:
    """A model that cannot be served ends the measurement."""
    sys.exit(left.error.message)


if __name__ == "__main__":
    main()
