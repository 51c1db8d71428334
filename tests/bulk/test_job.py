"""A job is done once, wherever it was stopped."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

from tintype.bulk.job import Job, run
from tintype.bulk.road import local_road
from tintype.bulk.rows import Asker
from tintype.bulk.sources import Sources
from tintype.errors import ImageCorrupt, RemoteUnreachable, SettingsError
from tintype.predict import PredictRequest
from tintype.types import ImageFacts, LabelScore, Prediction, Result, Task

FACTS = ImageFacts(width=1, height=1, format="png", sha256="00")


class Echo:
    """Answers with the bytes as the label; is away from the picture ``until`` on."""

    def __init__(self, until: str = "") -> None:
        self.until = until
        self.asked: list[str] = []

    def answer(self, images, _):
        """Say what they are."""
        names = [image.decode() for image in images]
        if self.until and any(name >= self.until for name in names):
            raise RemoteUnreachable("the model is away")
        self.asked += names
        return [ImageCorrupt("torn") if name == "0013" else said(name) for name in names]


def said(name: str) -> Prediction:
    labels = (LabelScore(index=0, label=name, score=1.0),)
    result = Result(model="echo", version="1", task=Task.CLASSIFY, labels=labels)
    return Prediction(id="", image=FACTS, results=(result,))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A thousand pictures, named by their number."""
    (tmp_path / "in").mkdir()
    for number in range(1000):
        (tmp_path / f"in/{number:04}").write_text(f"{number:04}")
    return tmp_path


def job(folder: Path, **changes) -> Job:
    sources = Sources(named=(str(folder / "in"),), max_bytes=100, store=lambda: None)
    options = {"sources": sources, "out": folder / "r.jsonl", "manifest": {"model": "echo"}}
    return Job(**{**options, **changes})


def do(given: Job, echo: Echo, shown: list | None = None):
    @contextlib.contextmanager
    def progress(items: int, failures: int):
        if shown is not None:
            shown.append((items, failures))
        yield lambda _: None

    given.check()
    asker = Asker(echo, PredictRequest(image=b""), recipes={"echo": "{}"})
    return run(given, local_road(asker, threads=3), progress=progress)


def labels(folder: Path) -> list[str]:
    return [json.loads(line)["label"] for line in (folder / "r.jsonl").read_text().splitlines()]


def everything() -> list[str]:
    return [f"{number:04}" for number in range(1000) if number != 13]


def test_rows_have_the_order_of_the_sources(folder):
    """Each picture once: in the results, or in the errors."""
    told = do(job(folder), Echo())
    assert everything() == labels(folder)
    assert (999, 1) == (told.rows, told.failures)
    (failure,) = (folder / "r.errors.jsonl").read_text().splitlines()
    assert str(folder / "in/0013") == json.loads(failure)["source"]
    assert not job(folder).folder.exists()


def test_a_job_that_was_stopped_goes_on(folder):
    """What was answered is not asked again, and the rows are the same."""
    first, second, shown = Echo(until="0500"), Echo(), []
    with pytest.raises(RemoteUnreachable):
        do(job(folder), first)
    assert not (folder / "r.jsonl").exists()
    do(job(folder), second, shown)
    ((items, failures),) = shown
    assert 0 < items <= 500
    assert 1 == failures
    assert [f"{number:04}" for number in range(items, 1000)] == sorted(second.asked)
    assert everything() == labels(folder)


def test_what_was_added_at_the_end_is_asked_too(folder):
    """A listing may grow behind what is answered."""
    with pytest.raises(RemoteUnreachable):
        do(job(folder), Echo(until="0500"))
    (folder / "in/1000").write_text("1000")
    do(job(folder), Echo())
    assert [*everything(), "1000"] == labels(folder)


def test_changed_sources_are_refused(folder):
    """In the part that is answered."""
    with pytest.raises(RemoteUnreachable):
        do(job(folder), Echo(until="0500"))
    (folder / "in/0000").unlink()
    with pytest.raises(SettingsError, match="have changed"):
        do(job(folder), Echo())
    do(job(folder, restart=True), Echo())
    assert everything()[1:] == labels(folder)


def test_results_that_are_there_are_not_written_over(folder):
    """Unless that is asked for."""
    do(job(folder), Echo())
    with pytest.raises(SettingsError, match="there already"):
        do(job(folder), Echo())
    do(job(folder, restart=True), Echo())


def test_a_kill_between_the_results_and_the_end_does_no_harm(folder):
    """Results are there, and so is the folder of answers: they are written again."""
    do(job(folder), Echo())
    given = job(folder)
    with pytest.raises(RemoteUnreachable):
        do(job(folder, out=folder / "s.jsonl"), Echo(until="0900"))
    (folder / "s.jsonl.unfinished").rename(given.folder)
    do(given, Echo())
    assert everything() == labels(folder)


def test_sources_that_hold_nothing_are_told(tmp_path):
    """There would be an empty table."""
    (tmp_path / "in").mkdir()
    with pytest.raises(SettingsError, match="there is no picture"):
        do(job(tmp_path), Echo())
