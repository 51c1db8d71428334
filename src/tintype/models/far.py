"""A model that runs elsewhere, asked with the encoded picture: it is decoded where the model is."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from tintype.models.hosted import Hosted
from tintype.models.info import Health
from tintype.models.plan import ModelPlan, without_graph


class Place(Protocol):
    """Where one or more models run; all of them are asked in one call, with one picture."""

    @property
    def reachable(self) -> bool:
        """Whether it answered when it was last asked."""
        ...

    async def about(self, model: str) -> str:
        """Wait until ``NAME@VERSION`` is loaded there; tells its precision. Raises ServingError."""
        ...

    async def ask(self, image: bytes, question: bytes, *, within: float) -> bytes:
        """One picture and what is asked of it; the reply (see ``predict/message.py``).

        Given up after ``within`` seconds, and there too. Cancelling it cancels the work there.
        Raises ServingError.
        """
        ...


class FarModel(Hosted):
    """One version of a model at a place. Entering it waits until it is loaded there."""

    def __init__(self, plan: ModelPlan, *, place: Place) -> None:
        super().__init__(without_graph(plan))
        self.place = place
        self._precision = "f32"

    async def __aenter__(self) -> Self:
        """Wait for the place. Raises ServingError."""
        self._precision = await self.place.about(self.address)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing: whoever runs the place drains it."""

    @property
    def address(self) -> str:
        """The version by the name it is asked with: ``pets@2``."""
        return f"{self.name}@{self.version}"

    @property
    def health(self) -> Health:
        """Ready; unreachable from when its place failed until it answers again."""
        return Health.READY if self.place.reachable else Health.UNREACHABLE

    @property
    def precision(self) -> str:
        """What it computes in there."""
        return self._precision

    def waiting(self) -> int:
        """None here."""
        return 0
