"""Load on a server by h2load, a compiled generator out of Debian (package nghttp2-client).

Closed loop: each connection asks again when it has its answer. Open loop: requests leave at a
rate that does not wait for answers, as long as one of the connections is free.
"""

from __future__ import annotations

import math
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_OPEN_CONNECTIONS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What is posted: a file that holds the whole body, and its content type."""

    file: Path
    content_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What came of a load. Rates are per second, times in milliseconds.

    ``p50`` and ``p99`` are of answers with status 200 alone. ``statuses``: how many of each, ``0``
    for a connection that ended without an answer.
    """

    seconds: float
    answered: int
    rate: float
    p50: float
    p99: float
    statuses: dict[str, int]

    @property
    def failed(self) -> int:
        """Answers other than 200."""
        return sum(self.statuses.values()) - self.answered


def closed_loop(url: str, body: Body, *, connections: int, seconds: float) -> Load:
    """As many answers as ``connections`` can get, each waiting for its own."""
    return _run(url, body, ["-c", str(connections)], seconds=seconds)


def open_loop(url: str, body: Body, *, rate: float, seconds: float) -> Load:
    """``rate`` requests a second, over as many connections as a server may keep busy."""
    connections = max(1, min(_OPEN_CONNECTIONS, math.ceil(rate)))
    flags = ["-c", str(connections), f"--rps={rate / connections:.6f}"]
    return _run(url, body, flags, seconds=seconds)


def _run(url: str, body: Body, flags: list[str], *, seconds: float) -> Load:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "requests.tsv"
        words = ["h2load", "--h1", "-t1", f"-D{max(1, round(seconds))}", f"--log-file={log}"]
        words += ["-d", str(body.file), "-H", f"content-type: {body.content_type}", *flags, url]
        subprocess.run(words, check=True, capture_output=True, timeout=seconds + 60)
        return read_log(log.read_text(), seconds=max(1, round(seconds)))


def read_log(text: str, *, seconds: float) -> Load:
    """The lines of h2load's log: start in microseconds, status, microseconds to the end."""
    rows = [line.split("\t") for line in text.splitlines()]
    good = sorted(int(took) / 1000 for _, status, took in rows if status == "200")
    statuses = Counter("0" if status == "-1" else status for _, status, _ in rows)
    return Load(
        seconds=seconds,
        answered=len(good),
        rate=len(good) / seconds,
        p50=_quantile(good, 0.5),
        p99=_quantile(good, 0.99),
        statuses=dict(statuses),
    )


def _quantile(ordered: list[float], share: float) -> float:
    if not ordered:
        return math.nan
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
