"""Who is told of every answer and every refusal."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tintype.errors import TintypeError
from tintype.predict import Caller, PredictRequest
from tintype.types import Prediction


class Notes:
    """An observer that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, object]] = []

    def answered(self, request: PredictRequest, prediction: Prediction) -> None:
        """Note the prediction."""
        self.told.append((request.caller.key, prediction))

    def refused(self, request: PredictRequest, error: TintypeError, *, seconds: float) -> None:
        """Note the error."""
        assert seconds >= 0
        self.told.append((request.caller.key, error))


async def test_observers_are_told_of_every_answer(serving, host, red):
    """The very prediction the caller gets, with who asked."""
    notes = Notes()
    async with serving(host(), observers=(notes,)) as predictor:
        prediction = await predictor.predict(replace(red, caller=Caller(key="shop")))
    assert [("shop", prediction)] == notes.told


async def test_observers_are_told_of_every_refusal(serving, host):
    """The error that the caller gets."""
    notes = Notes()
    async with serving(host(), observers=(notes,)) as predictor:
        with pytest.raises(TintypeError) as raised:
            await predictor.predict(PredictRequest(image=b"no picture"))
    assert [("", raised.value)] == notes.told
