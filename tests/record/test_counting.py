"""What a database counts is what is counted in Python, on SQLite and on PostgreSQL."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from msgspec import structs

from tintype.record import counting, store
from tintype.record.database import reading, writing
from tintype.record.fake import PETS, classified, entry, predicted
from tintype.record.outcomes import Hits, Outcome, count
from tintype.record.reports import Asked
from tintype.record.values import Said
from tintype.types import PictureLook

BEGAN_MS = 1_735_776_000_000
DAY_MS = 86_400_000
LABELS = ("cat", "dog", "bird")
MODELS = tuple(
    replace(PETS, name=name, version=version)
    for name, version in (("pets", "1"), ("pets", "2"), ("birds", "1"))
)


@pytest.fixture
def judged(engine) -> list[Outcome]:
    """A hundred and fifty predictions over ten weeks, said right, wrong, or which label it is."""
    chance = random.Random(5)
    outcomes = []
    with writing(engine) as connection:
        ids = {
            facts: store.add_model(connection, facts, sha256="", at_ms=BEGAN_MS + number)
            for number, facts in enumerate(MODELS)
        }
        for number in range(150):
            facts, at_ms = chance.choice(MODELS), BEGAN_MS + number * DAY_MS // 2
            names = chance.sample(LABELS, chance.choice((1, 2, 3)))
            scores = sorted((round(chance.random(), 1) for _ in names), reverse=True)
            prediction = predicted(
                structs.replace(
                    classified(*zip(names, scores, strict=True)),
                    model=facts.name,
                    version=facts.version,
                )
            )
            store.add_predictions(
                connection,
                [entry(prediction, at_ms=at_ms)],
                model_id=lambda _, __, facts=facts: ids[facts],
            )
            said = chance.choice(
                [Said(correct=False), Said(correct=True), *(Said(label=name) for name in LABELS)]
            )
            _, told = store.put_feedback(connection, prediction.id, said, key="", at_ms=at_ms + 9)
            outcomes.append(
                Outcome(
                    model=facts.name,
                    version=facts.version,
                    at_ms=at_ms,
                    right=told.right_label,
                    answered=names[0],
                    score=scores[0],
                    rank=told.rank,
                    listed=len(names),
                )
            )
    return outcomes


def fits(outcome: Outcome, asked: Asked) -> bool:
    return (
        asked.model in {None, outcome.model}
        and asked.version in {None, outcome.version}
        and asked.label in {None, outcome.right}
        and (asked.since_ms is None or outcome.at_ms >= asked.since_ms)
    )


@pytest.mark.parametrize(
    "asked",
    [
        Asked(),
        Asked(model="pets"),
        Asked(model="pets", version="2"),
        Asked(label="dog"),
        Asked(since_ms=BEGAN_MS + 30 * DAY_MS),
        Asked(model="pets", label="cat", since_ms=BEGAN_MS + 5 * DAY_MS),
        Asked(model="nobody"),
    ],
    ids=str,
)
def test_the_database_counts_as_python_does(engine, judged, asked: Asked):
    """Hits, top N, confusion, bins, weeks and versions, whatever is asked for."""
    expected = count([each for each in judged if fits(each, asked)], tops=counting.TOPS)
    with reading(engine) as connection:
        got = counting.count_judged(connection, asked)
    assert (expected.hits, expected.top, expected.weeks) == (got.hits, got.top, got.weeks)
    assert (expected.confusion, expected.versions) == (got.confusion, got.versions)
    assert [replace(each, score_sum=0.0) for each in expected.bins] == [
        replace(each, score_sum=0.0) for each in got.bins
    ]
    for ours, theirs in zip(expected.bins, got.bins, strict=True):
        assert math.isclose(ours.score_sum, theirs.score_sum, abs_tol=1e-9)


@pytest.mark.usefixtures("judged")
def test_models_are_told_once_a_version(engine):
    """The latest first."""
    with reading(engine) as connection:
        known = counting.known_models(connection)
    assert [("birds", "1"), ("pets", "2"), ("pets", "1")] == [
        (each.name, each.version) for each in known
    ]


@pytest.fixture
def looked(engine) -> None:
    """Forty predictions that grow brighter, the first ten without a look; one model fails once."""
    with writing(engine) as connection:
        number = store.add_model(connection, PETS, sha256="", at_ms=BEGAN_MS)
        entries = []
        for step in range(40):
            prediction = predicted(classified(("dog" if step % 4 else "cat", 0.5 + step / 100)))
            look = PictureLook(brightness=step / 40, contrast=0.2, colour=0.1, detail=0.05)
            prediction = structs.replace(prediction, look=None if step < 10 else look)
            entries.append(entry(prediction, at_ms=BEGAN_MS + step))
        failed = predicted(structs.replace(classified(), labels=None))
        entries.append(entry(failed, at_ms=BEGAN_MS + 99))
        store.add_predictions(connection, entries, model_id=lambda _, __: number)


@pytest.mark.usefixtures("looked")
def test_the_last_answers_are_read_with_their_looks(engine):
    """Newest first; what gave no label is not among them."""
    with reading(engine) as connection:
        (pets,) = counting.known_models(connection)
        sample, last_ms = counting.sample(connection, pets, count=8, newest=True)
    assert BEGAN_MS + 39 == last_ms
    assert {"dog": 6, "cat": 2} == sample.labels
    assert [round(0.5 + step / 100, 2) for step in range(39, 31, -1)] == [
        round(score, 2) for score in sample.measures["score"]
    ]
    assert sorted(step / 40 for step in range(32, 40)) == sorted(sample.measures["brightness"])
    assert [0.3072] * 8 == sample.measures["size"]


@pytest.mark.usefixtures("looked")
def test_the_first_answers_may_have_no_look(engine):
    """They were recorded before looks were; their labels count."""
    with reading(engine) as connection:
        (pets,) = counting.known_models(connection)
        sample, last_ms = counting.sample(connection, pets, count=8, newest=False)
    assert BEGAN_MS + 7 == last_ms
    assert {"dog": 6, "cat": 2} == sample.labels
    assert "brightness" not in sample.measures
    assert 8 == len(sample.measures["size"])


@pytest.mark.usefixtures("looked")
def test_the_last_answers_may_begin_after_a_time(engine):
    """So that what is compared is not compared with itself."""
    with reading(engine) as connection:
        (pets,) = counting.known_models(connection)
        some, _ = counting.sample(connection, pets, count=8, newest=True, after_ms=BEGAN_MS + 36)
        none, last_ms = counting.sample(
            connection, pets, count=8, newest=True, after_ms=BEGAN_MS + 99
        )
    assert (3, {}, None) == (sum(some.labels.values()), none.labels, last_ms)


def test_the_latest_disagreements_come_first(engine, judged):
    """With what was answered and what is right, of one model if asked."""
    with reading(engine) as connection:
        found = counting.disagreements(connection, model="pets", count=5)
    wrong = [each for each in judged if each.model == "pets" and each.rank != 1]
    assert [(each.at_ms, each.answered, each.right) for each in reversed(wrong)][:5] == [
        (each.at_ms, each.answered, each.right) for each in found
    ]
    assert not any(each.picture for each in found)


def test_what_was_lost_is_summed_by_reason(engine):
    """Since the record began."""
    with writing(engine) as connection:
        for reason, number in (("dropped", 3), ("killed", 2), ("dropped", 4)):
            store.add_loss(connection, at_ms=1, reason=reason, count=number)
    with reading(engine) as connection:
        assert {"dropped": 7, "killed": 2} == counting.lost(connection)


def test_hits_of_versions_are_those_of_the_report(engine, judged: list[Outcome]):
    """Of those that are asked for, and of no other; one that nobody knows has none."""
    asked = {("pets", "2"), ("birds", "1"), ("nix", "1")}
    told = count(judged).versions
    with reading(engine) as connection:
        found = counting.hits(connection, asked)
        assert {} == counting.hits(connection, ())
    expected = {each: told.get(each, Hits(right=0, judged=0)) for each in asked}
    assert expected == found
    assert 0 < found["pets", "2"].right < found["pets", "2"].judged
