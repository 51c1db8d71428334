"""Load on a server, from programs of their own.

Closed loop: each connection asks again when it has its answer; by h2load, a compiled generator out
of Debian (package nghttp2-client). Open loop: requests are sent when they are due, whatever became
of those before; by ``generator.py``, as h2load holds requests back while its connections are busy.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cores import Layout, on
from materials import Body

_PATIENCE: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What came of a load. Rates are per second, times in milliseconds.

    ``p50`` and ``p99`` are of answers with status 200 alone, None where there was none.
    ``statuses``: how many of each, ``0`` for a connection that ended without an answer.
    """

    seconds: float
    answered: int
    rate: float
    p50: float | None
    p99: float | None
    statuses: dict[str, int]

    @property
    def failed(self) -> int:
        """Answers other than 200."""
        return sum(self.statuses.values()) - self.answered


def closed_loop(url: str, body: Body, *, connections: int, seconds: float, layout: Layout) -> Load:
    """As many answers as ``connections`` can get, each waiting for its own."""
    whole = max(1, round(seconds))
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "requests.tsv"
        words = ["h2load", "--h1", "-t1", f"-c{connections}", f"-D{whole}", f"--log-file={log}"]
        words += ["-d", str(body.file), "-H", f"content-type: {body.content_type}"]
        words += [word for each in body.headers for word in ("-H", each)]
        _run(on(layout.generator, [*words, url]), seconds=whole)
        return read_log(log.read_text(), seconds=whole)


def open_loop(
    url: str, body: Body, *, rate: float, seconds: float, layout: Layout
) -> dict[str, float]:
    """``rate`` requests a second; see ``generator.main`` for what comes back."""
    words = [sys.executable, str(Path(__file__).with_name("generator.py")), url, str(body.file)]
    words += ["--content-type", body.content_type, "--rate", str(rate), "--seconds", str(seconds)]
    words += [f"--header={each}" for each in body.headers]
    told = _run(on(layout.generator, words), seconds=seconds)
    return dict(json.loads(told.splitlines()[-1]))


def _run(words: list[str], *, seconds: float) -> str:
    ran = subprocess.run(
        words, check=True, capture_output=True, text=True, timeout=seconds + _PATIENCE
    )
    return ran.stdout


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


def _quantile(ordered: list[float], share: float) -> float | None:
    return ordered[math.floor(share * (len(ordered) - 1))] if ordered else None
