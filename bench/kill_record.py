"""What is lost when a server that records is killed: SIGKILL under load, again and again.

    .venv/bin/python bench/kill_record.py [--kills 20] [--clients 4] [--database URL]

A real ``tintype serve`` is asked for predictions by several clients; every third answer is
judged. A random time after the first word was acknowledged it gets SIGKILL, and the database is
compared with what the clients were told. Exits 1 when an acknowledged word is missing, or a
prediction that was answered more than a second before the kill, or when more are missing than
the next start counts.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import func, select

from tintype.record.database import make_engine, reading
from tintype.record.place import Place
from tintype.record.tables import feedback, losses, predictions

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "src/tintype/demo/models/colours"
PICTURE = (ROOT / "src/tintype/demo/pictures/colours.png").read_bytes()
LABELS = (MODEL / "labels.txt").read_text().split("\n")[:5]


@dataclass
class Told:
    """What the clients of one run were told. Times are of the monotonic clock."""

    answered: dict[str, float] = field(default_factory=dict)
    judged: dict[str, str] = field(default_factory=dict)
    begun: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Kill:
    """One kill: what the clients had been told, what was missing afterwards, what was counted."""

    answered: int
    missing: int
    oldest_missing_seconds: float
    judged: int
    judged_missing: int
    counted: int


def main() -> None:
    """Kill, compare, print a line a kill and the sums; exit 1 when a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=3.0, help="longest time before a kill")
    parser.add_argument("--database", default="", help="PostgreSQL; SQLite without it")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)  # noqa: S311 - when to kill, no secret
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        place: Place = options.database or state / "record.db"
        kills = []
        for number in range(options.kills):
            seconds = chance.uniform(0.3, options.seconds)
            told, killed_at = run_and_kill(state, options.database, options.clients, seconds)
            before = counted_losses(place)
            with server(state, options.database) as (process, _):
                process.send_signal(signal.SIGTERM)
                process.wait()
            kills.append(compare(place, told, killed_at, counted_losses(place) - before))
            print(f"kill {number + 1}: {kills[-1]}", file=sys.stderr, flush=True)
    print(json.dumps(summary(kills)))
    sys.exit(any(broken(kill) for kill in kills))


def run_and_kill(state: Path, database: str, clients: int, seconds: float) -> tuple[Told, float]:
    """Serve, load, kill; what the clients had been told until then, and when it was."""
    told = Told()
    with server(state, database) as (process, port):
        threads = [threading.Thread(target=load, args=(port, told)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        told.begun.wait(60)
        time.sleep(seconds)
        process.kill()
        killed_at = time.monotonic()
        process.wait()
        for thread in threads:
            thread.join()
    return told, killed_at


class server:  # noqa: N801 - a context manager
    """A server on a free port that is ready; killed at the end if it still lives."""

    def __init__(self, state: Path, database: str) -> None:
        words = [str(Path(sys.executable).parent / "tintype"), "serve", str(MODEL), "--port", "0"]
        config = state / "tintype.toml"
        config.write_text(f'[record]\ndatabase = "{database}"\n[log]\nlevel = "warning"\n')
        self._words = [*words, "--state", str(state), "--config", str(config)]

    def __enter__(self) -> tuple[subprocess.Popen[str], int]:
        self._process = subprocess.Popen(self._words, stderr=subprocess.PIPE, text=True)
        lines = self._process.stderr or ()
        ready = next(line for line in lines if line.startswith("ready:"))
        threading.Thread(target=lambda: [*lines], daemon=True).start()
        port = re.search(r":(\d+) ", ready)
        return self._process, int(port[1] if port else 0)

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


def load(port: int, told: Told) -> None:
    """Ask until the server is gone; judge every third answer. Note only what was acknowledged."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    count = 0
    try:
        while True:
            connection.request("POST", "/api/predict", PICTURE)
            body = json.loads(connection.getresponse().read())
            told.answered[body["id"]] = time.monotonic()
            count += 1
            if count % 3 == 0:
                label = LABELS[count % len(LABELS)]
                path = f"/api/predictions/{body['id']}/feedback"
                connection.request("PUT", path, json.dumps({"label": label}))
                answer = connection.getresponse()
                answer.read()
                if answer.status == http.HTTPStatus.OK:
                    told.judged[body["id"]] = label
                    told.begun.set()
    except (OSError, http.client.HTTPException, ValueError):
        return


def counted_losses(place: Place) -> int:
    """How many predictions the record itself says are missing."""
    if isinstance(place, Path) and not place.exists():
        return 0
    engine = make_engine(place)
    with reading(engine) as connection:
        known = connection.dialect.has_table(connection, "losses")
        total = connection.execute(select(func.sum(losses.c.count))).scalar() if known else 0
    engine.dispose()
    return int(total or 0)


def compare(place: Place, told: Told, killed_at: float, counted: int) -> Kill:
    """What the clients were told, beside what is in the database."""
    engine = make_engine(place)
    with reading(engine) as connection:
        kept = set(connection.execute(select(predictions.c.id)).scalars())
        rows = connection.execute(select(feedback.c.prediction_id, feedback.c.right_label))
        said = {row.prediction_id: row.right_label for row in rows}
    engine.dispose()
    missing = [at for name, at in told.answered.items() if name not in kept]
    return Kill(
        answered=len(told.answered),
        missing=len(missing),
        oldest_missing_seconds=round(killed_at - min(missing), 3) if missing else 0.0,
        judged=len(told.judged),
        judged_missing=sum(said.get(name) != label for name, label in told.judged.items()),
        counted=counted,
    )


def broken(kill: Kill) -> bool:
    """Whether a promise was not kept."""
    return bool(
        kill.judged_missing or kill.oldest_missing_seconds > 1.0 or kill.missing > kill.counted
    )


def summary(kills: list[Kill]) -> dict[str, float]:
    """The sums over all kills."""
    return {
        "kills": len(kills),
        "answered": sum(kill.answered for kill in kills),
        "missing": sum(kill.missing for kill in kills),
        "most_missing": max(kill.missing for kill in kills),
        "oldest_missing_seconds": max(kill.oldest_missing_seconds for kill in kills),
        "judged": sum(kill.judged for kill in kills),
        "judged_missing": sum(kill.judged_missing for kill in kills),
        "counted": sum(kill.counted for kill in kills),
        "broken": sum(broken(kill) for kill in kills),
    }


if __name__ == "__main__":
    main()
