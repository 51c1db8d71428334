"""Cards to plans, side by side; what cannot be served and need not be is left out and told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from tintype.engines.engine import CPU
from tintype.errors import ModelFileError, RemoteUnreachable, ServingError, TintypeError
from tintype.models.card import Card
from tintype.models.plan import ModelPlan, plan_model


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A model that cannot be served and need not be (see ``Card.may_be_absent``), and why."""

    card: Card
    error: TintypeError

    @property
    def comes_back(self) -> bool:
        """Whether it is a model that runs elsewhere and cannot be asked just now."""
        away = self.card.remote is not None and isinstance(self.error, ServingError)
        return away or isinstance(self.error, RemoteUnreachable)


async def make_plans(
    cards: tuple[Card, ...],
    *,
    left_out: Callable[[LeftOut], None],
    patient: bool = False,
    device: str = CPU,
) -> tuple[ModelPlan, ...]:
    """Read every model file, side by side.

    A file that was only found in a folder, or whose card has a fallback, and a model on another
    server that cannot be asked, are told to ``left_out``, unless it is the last; ``patient`` makes
    do without any where one may come back. ``device`` is for cards that name none. Raises
    ModelFileError, or ServingError of a model on another server, of the first other that fails;
    the message tells which.
    """
    tried = await asyncio.gather(*(asyncio.to_thread(_plan, card, device) for card in cards))
    made = tuple(plan for plan, _ in tried if plan is not None)
    for _, failed in tried:
        for one in failed:
            if not made and not (patient and one.comes_back):
                raise one.error
            left_out(one)
    return made


def _plan(card: Card, device: str) -> tuple[ModelPlan | None, list[LeftOut]]:
    """The plan of a card, or of the best earlier version; and what failed before it."""
    failed: list[LeftOut] = []
    for each in (card, *card.earlier):
        try:
            return plan_model(each, device=device), failed
        except (ModelFileError, ServingError) as error:
            failed.append(LeftOut(card=each, error=named(error, each)))
    if not card.may_be_absent and not failed[0].comes_back:
        raise failed[0].error
    return None, failed


def named(error: TintypeError, card: Card) -> TintypeError:
    """The error with the file in its message."""
    if card.file.name in error.message:
        return error
    return type(error)(f"{card.file}: {error.message}", hint=error.hint, **error.facts)
