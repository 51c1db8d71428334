"""Predictions become flat rows, and what has no answer a failure."""

from __future__ import annotations

import msgspec

from tintype.bulk.items import Item, Piece
from tintype.bulk.rows import Asker, Failure, Row, recipe_text
from tintype.errors import ImageCorrupt
from tintype.imaging.presets import PRESETS
from tintype.predict import PredictRequest
from tintype.types import (
    Box,
    ImageFacts,
    LabelScore,
    Point,
    Prediction,
    Result,
    ResultError,
    Task,
)

FACTS = ImageFacts(width=4, height=3, format="png", sha256="ab", warnings=("animated",))
LABELS = (
    LabelScore(index=1, label="dog", score=0.75),
    LabelScore(index=0, label="cat", score=0.25),
)
BOX = Box(index=2, label="hen", score=0.5, x1=0.0, y1=1.0, x2=2.0, y2=3.0)


class Says:
    """Answers what it was given."""

    def __init__(self, *told) -> None:
        self.told = told

    def answer(self, *_):
        """Say it."""
        return [*self.told]


def result(model: str = "pets", **found) -> Result:
    return Result(model=model, version="2", task=Task.CLASSIFY, **found)


def lines(*told) -> tuple[list[Row | Failure], int]:
    """What is written of these answers, and how many failures are counted."""
    recipes = {"pets": '{"preset":"raw"}', "birds": "{}"}
    asker = Asker(Says(*told), PredictRequest(image=b""), recipes=recipes)
    items = tuple(Item(name=f"{at}.jpg", size=at, read=bytes) for at in range(len(told)))
    done = asker(Piece(first=0, items=items), [b""] * len(told))
    assert b"".join(item.identity for item in items) == done.identity
    kinds = {ord("R"): Row, ord("E"): Failure}
    found = [msgspec.json.decode(line[1:], type=kinds[line[0]]) for line in done.lines.splitlines()]
    return found, done.failures


def predicted(*results: Result) -> Prediction:
    return Prediction(id="", image=FACTS, results=results)


def test_a_classifier_s_row_has_the_best_label_and_all():
    """Flat columns for the best, lists for the rest."""
    ((row,), failures) = lines(predicted(result(labels=LABELS)))
    assert 0 == failures
    assert ("0.jpg", "ab", 4, 3, "png") == (
        row.source,
        row.sha256,
        row.width,
        row.height,
        row.format,
    )
    assert ("pets", "2", '{"preset":"raw"}', ("animated",)) == (
        row.model,
        row.version,
        row.recipe,
        row.warnings,
    )
    assert ("dog", 0.75, 1) == (row.label, row.score, row.index)
    assert (("dog", "cat"), (0.75, 0.25), (1, 0)) == (row.labels, row.scores, row.indexes)
    assert (None, None, None) == (row.boxes, row.point_x, row.point_y)


def test_a_detector_s_row_has_its_boxes():
    """The surest is told flat; no labels."""
    ((row,), _) = lines(predicted(result(boxes=(BOX,))))
    assert ((BOX,), "hen", 0.5, 2, None) == (row.boxes, row.label, row.score, row.index, row.labels)


def test_where_nothing_was_found_columns_are_empty():
    """It is an answer all the same."""
    (rows, failures) = lines(predicted(result(boxes=())), predicted(result(labels=())))
    assert [(None, None), (None, None)] == [(row.label, row.score) for row in rows]
    assert [(), None] == [row.boxes for row in rows]
    assert 0 == failures


def test_a_row_a_model_and_point():
    """In the order of the results."""
    point = Point(x=1.0, y=2.0)
    (rows, _) = lines(predicted(result(labels=LABELS, point=point), result("birds", boxes=())))
    assert [("pets", 1.0, 2.0), ("birds", None, None)] == [
        (row.model, row.point_x, row.point_y) for row in rows
    ]


def test_what_has_no_answer_is_a_failure():
    """A picture of any model, or one model of a picture; the others have their rows."""
    error = ResultError(type="engine-failed", detail="it raised")
    (found, failures) = lines(
        ImageCorrupt("torn"), predicted(result(labels=LABELS), result("birds", error=error))
    )
    assert 2 == failures
    assert Failure(source="0.jpg", model=None, error="image-corrupt", message="torn") == found[0]
    assert "dog" == found[1].label
    assert ("birds", "engine-failed") == (found[2].model, found[2].error)


def test_a_recipe_is_told_in_one_line():
    """As short as it can be said."""
    name, recipe = next(iter(PRESETS.items()))
    assert f'{{"preset":"{name}"}}' == recipe_text(recipe)
