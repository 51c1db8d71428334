"""The one use case: a picture goes in, a prediction comes out. Every front door calls it."""

from tintype.predict.direct import Direct, Given, Told
from tintype.predict.observer import Observer
from tintype.predict.predictor import Predictor
from tintype.predict.prepare import Lanes
from tintype.predict.request import Caller, PredictPolicy, PredictRequest

__all__ = [
    "Caller",
    "Direct",
    "Given",
    "Lanes",
    "Observer",
    "PredictPolicy",
    "PredictRequest",
    "Predictor",
    "Told",
]
