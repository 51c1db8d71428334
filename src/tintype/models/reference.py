"""What a version's golden pictures are like: the reference that drift is told from."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec.structs import asdict

from tintype.errors import CardError, ImageError
from tintype.imaging.decode import decode
from tintype.imaging.header import read_header
from tintype.imaging.limits import DecodeLimits
from tintype.imaging.look import look_of
from tintype.imaging.steps import Decode
from tintype.models.golden import Known, read_golden
from tintype.models.registry import Registry
from tintype.record.drift import FEWEST, Sample
from tintype.record.reports import Reference

_MOST_PICTURES: Final = 500
_MOST_BYTES: Final = 64 << 20


class References:
    """The golden references of what is served; each is looked at once, in a thread."""

    def __init__(self, registry: Registry, *, limits: DecodeLimits) -> None:
        self._registry = registry
        self._limits = limits
        self._known: dict[Path, asyncio.Task[Reference | None]] = {}

    async def of(self, model: str, version: str) -> Reference | None:
        """The reference of a served version, None where its golden set is missing or too small."""
        served = self._registry.served(model)
        host = served.version(version) if served else None
        golden = host.plan.card.golden if host else None
        if golden is None:
            return None
        task = self._known.get(golden.pictures)
        if task is None:
            work = asyncio.to_thread(golden_reference, golden.pictures, limits=self._limits)
            task = self._known[golden.pictures] = asyncio.ensure_future(work)
        return await asyncio.shield(task)


def golden_reference(path: Path, *, limits: DecodeLimits) -> Reference | None:
    """Looks and right labels of a golden set; of a large one, 500 pictures evenly spread.

    None where the set cannot be read or has too few pictures to compare with. A picture that
    cannot be read is left out.
    """
    try:
        known = read_golden(path)
    except CardError:  # told when the version was loaded
        return None
    if len(known) < FEWEST:
        return None
    return Reference(name="the golden set", sample=_sample(_spread(known), limits))


def _spread(known: Sequence[Known]) -> list[Known]:
    return [known[number] for number in range(0, len(known), -(-len(known) // _MOST_PICTURES))]


def _sample(known: Sequence[Known], limits: DecodeLimits) -> Sample:
    measures: dict[str, list[float]] = {}
    for one in known:
        for name, value in _look(one.picture, limits).items():
            measures.setdefault(name, []).append(value)
    return Sample(measures=measures, labels=Counter(one.label for one in known))


def _look(picture: Path, limits: DecodeLimits) -> dict[str, float]:
    try:
        with picture.open("rb") as file:
            data = file.read(_MOST_BYTES)
        pixels = decode(data, header=read_header(data, limits=limits), how=Decode())
    except (OSError, ImageError):
        return {}
    size = pixels.facts.width * pixels.facts.height / 1e6
    return {**asdict(look_of(pixels.array)), "size": size}
