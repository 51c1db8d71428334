"""Models that should be served and are not there: their error and their fallback."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs

from tintype.errors import ModelUnavailable, UnsupportedImageFormat
from tintype.types import Point


async def test_an_absent_model_tells_its_fallback_without_being_named(serving, host, red, gone):
    """It was meant to be served: one result a point, with its error."""
    points = (Point(x=1, y=1), Point(x=9, y=9))
    async with serving(host("here"), absent=(gone,)) as predictor:
        prediction = await predictor.predict(structs.replace(red, points=points))
    assert [("here", points[0]), ("here", points[1]), ("gone", points[0]), ("gone", points[1])] == [
        (result.model, result.point) for result in prediction.results
    ]
    absent = prediction.results[-1]
    assert ("model-unavailable", "beach", True, "2") == (
        absent.error.type,
        absent.labels[0].label,
        absent.fallback,
        absent.version,
    )


async def test_an_absent_model_alone_tells_its_fallback_and_what_the_picture_was(
    serving, host, red, gone
):
    """No model is there to look at the picture; it must be one all the same."""
    async with serving(host("here"), absent=(gone,)) as predictor:
        asked = structs.replace(red, models=("gone",))
        prediction = await predictor.predict(asked)
        with pytest.raises(UnsupportedImageFormat):
            await predictor.predict(structs.replace(asked, image=b"hello"))
    assert ("beach", 16) == (prediction.results[0].labels[0].label, prediction.image.width)


async def test_an_absent_model_without_a_fallback_speaks_only_when_named(serving, host, red, gone):
    """A damaged file in a folder is nobody's answer."""
    bare = replace(gone, fallback=())
    async with serving(host("here"), absent=(bare,)) as predictor:
        every = await predictor.predict(red)
        with pytest.raises(ModelUnavailable, match="could not be loaded"):
            await predictor.predict(structs.replace(red, models=("gone",)))
    assert ["here"] == [result.model for result in every.results]
