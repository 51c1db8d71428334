"""Asking about many pictures at a time, against an oracle that tests pull the strings of."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tintype.errors import ImageCorrupt, InputUnreachable, TintypeError
from tintype.evaluation.folder import LabelledFolder, LabelledPicture
from tintype.evaluation.result import (
    COLUMNS,
    Evaluation,
    Subject,
    evaluation,
    evaluation_body,
    evaluation_csv,
)
from tintype.evaluation.run import Examined, Work, examine
from tintype.predict import Given, PredictRequest, Told
from tintype.types import (
    ImageFacts,
    LabelScore,
    Prediction,
    Result,
    ResultError,
    Task,
)

SUBJECT = Subject(
    model="pets",
    version="1",
    title="Pets",
    file="pets.keras",
    engine="fake",
    labels=("cat", "dog", "cow", "hen"),
    top=3,
)


class Oracle:
    """Answers with what the bytes of the picture say: ``dog 0.9,cat 0.1``."""

    def __init__(self) -> None:
        self.asked: list[PredictRequest] = []
        self.threads: set[int] = set()

    def answer(self, images: Sequence[Given], asked: PredictRequest) -> list[Told]:
        """Read the answers out of the bytes."""
        self.asked.append(asked)
        self.threads.add(threading.get_ident())
        return [image if isinstance(image, TintypeError) else told(image) for image in images]


def told(image: bytes) -> Told:
    """What is said of a picture."""
    text = image.decode()
    if text == "broken":
        return ImageCorrupt("the decoder refuses it")
    failed = ResultError(type="engine-failed", detail="it raised") if text == "failed" else None
    pairs = [pair.split() for pair in text.split(",")] if failed is None else []
    labels = tuple(
        LabelScore(index=index, label=name, score=float(score))
        for index, (name, score) in enumerate(pairs)
    )
    result = Result(model="pets", version="1", task=Task.CLASSIFY, labels=labels, error=failed)
    facts = ImageFacts(width=1, height=1, format="png", sha256="0" * 64)
    return Prediction(id="", image=facts, results=(result,))


def pictures(*pairs: tuple[str, str]) -> list[LabelledPicture]:
    """Pictures whose name is what the oracle will say."""
    return [LabelledPicture(file=Path(text), label=label) for label, text in pairs]


def work(**changes) -> Work:
    asked = PredictRequest(image=b"", top=3)
    whole = Work(read=lambda path: str(path).encode(), asked=asked, threads=4)
    return replace(whole, **changes)


def evaluated(*pairs: tuple[str, str]) -> Evaluation:
    """The evaluation of these pictures."""
    given = pictures(*pairs)
    found = examine(given, Oracle(), work(), done=lambda _: None)
    folder = LabelledFolder(path=Path(), pictures=tuple(given), matches=(), skipped=())
    return evaluation(SUBJECT, folder, found, seconds=0.5)


def test_answers_keep_the_order_of_the_pictures():
    """Whatever is ready first; each is told once."""
    given = pictures(*[("dog", f"dog 0.{number + 1}") for number in range(9)])
    seen: list[Examined] = []
    found = examine(given, Oracle(), work(), done=seen.append)
    assert [each.file for each in given] == [each.file for each in found]
    assert [*found] == seen


def test_several_pictures_are_at_work_together():
    """In as many threads as were asked for, and no more."""
    oracle = Oracle()
    given = pictures(*[("dog", f"dog 0.{number + 1}") for number in range(9)] * 100)
    examine(given, oracle, work(), done=lambda _: None)
    assert len(oracle.threads) <= 4


def test_every_label_is_asked_for():
    """A threshold of the card would hide the rank of the right one."""
    oracle = Oracle()
    examine(pictures(("dog", "dog 1")), oracle, work(), done=lambda _: None)
    assert (3, 0.0) == (oracle.asked[0].top, oracle.asked[0].threshold)


def test_a_broken_picture_stops_no_other():
    """It is left out of the figures, and listed with its reason."""
    done = evaluated(("dog", "broken"), ("dog", "dog 0.9,cat 0.1"), ("cat", "failed"))
    assert (1, 1) == (done.report.accuracy.right, done.report.accuracy.judged)
    assert ["the decoder refuses it", "it raised"] == [
        each.error.detail for each in done.unread if each.error
    ]


def test_a_file_that_cannot_be_read_stops_no_other():
    """It may have gone since the folder was read."""

    def read(_: Path) -> bytes:
        raise InputUnreachable("the file cannot be read: gone")

    (one,) = examine(pictures(("dog", "x")), Oracle(), work(read=read), done=lambda _: None)
    assert one.error is not None


def test_a_fault_of_ours_is_not_hidden():
    """Only designed errors are counted as pictures without an answer."""

    def read(_: Path) -> bytes:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        examine(pictures(("dog", "x")), Oracle(), work(read=read), done=lambda _: None)


def test_the_surest_mistakes_come_first():
    """By the score of the wrong label."""
    done = evaluated(("dog", "cat 0.6,dog 0.4"), ("dog", "dog 0.9"), ("cow", "cat 0.8,cow 0.2"))
    assert [0.8, 0.6] == [each.labels[0].score for each in done.mistakes]


def test_top_n_leaves_out_what_all_labels_would_tell():
    """Of four labels the first three say something; all four would always be right."""
    done = evaluated(("cow", "cat 0.6,dog 0.3,cow 0.1"), ("hen", "cat 0.6,dog 0.3,cow 0.1"))
    assert [(1, 0.0), (3, 0.5)] == [(each.n, each.share.value) for each in done.report.top]
    assert (1,) == replace(SUBJECT, labels=("cat", "dog")).tops


def test_a_table_has_a_line_a_picture():
    """Names of columns first; quoting as RFC 4180 has it."""
    done = evaluated(("dog", "dog 0.75,cat 0.25"), ("dog", "broken"))
    lines = evaluation_csv(done).split("\r\n")
    assert ",".join(COLUMNS) == lines[0]
    assert '"dog 0.75,cat 0.25",dog,dog,0.75,true,1,0.75,' == lines[1]
    assert "broken,dog,,,,,,the decoder refuses it" == lines[2]


def test_the_json_has_the_report_and_the_mistakes():
    """With the file, what is right, what was answered, and both scores."""
    body = evaluation_body(evaluated(("dog", "cat 0.6,dog 0.4")))
    assert [
        {
            "file": "cat 0.6,dog 0.4",
            "right": "dog",
            "answered": "cat",
            "score": 0.6,
            "score_of_right": 0.4,
        }
    ] == body["mistakes"]
    assert (1, []) == (body["pictures"], body["unread"])


def test_an_evaluation_has_no_weeks():
    """All its pictures were asked just now."""
    assert () == (evaluated(("dog", "dog 1"))).report.weeks
