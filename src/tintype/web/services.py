"""What the web application is built around. ``tintype.wiring`` makes it, tests make it of fakes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tintype.access.door import Door
from tintype.live import LiveWindow
from tintype.metrics import Metrics
from tintype.models.keeper import Keeper
from tintype.predict import Predictor
from tintype.record.pictures import PictureKeeper
from tintype.record.recorder import Recorder
from tintype.siblings import Siblings
from tintype.tracing import Tracing
from tintype.web.inputs import Inputs

if TYPE_CHECKING:  # for the dashboard alone: kept off the start
    from tintype.models.reference import References


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The running parts that routes call. Somebody else starts and stops them.

    Without a ``door`` everybody may ask everything; without ``metrics`` nothing is counted and
    there is no ``/metrics``; without ``record`` nothing is recorded, without ``pictures`` no
    picture is kept; without a ``keeper`` no model can be loaded anew; without ``tracing`` no spans
    are made; without ``siblings`` this process serves alone.
    """

    predictor: Predictor
    door: Door | None = None
    inputs: Inputs = field(default_factory=Inputs)
    metrics: Metrics | None = None
    record: Recorder | None = None
    pictures: PictureKeeper | None = None
    live: LiveWindow | None = None
    references: Callable[[], References] | None = None
    keeper: Keeper | None = None
    tracing: Tracing | None = None
    siblings: Siblings | None = None
