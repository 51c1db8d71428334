"""What both clients share: where the server is, what was promised, and answers out of outcomes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from tintype.client.answers import Answer, default_answer, live_answer
from tintype.client.breaker import Breaker
from tintype.client.calls import (
    Ask,
    Conversation,
    Feedback,
    Outcome,
    Silence,
    batch_request,
    conversation,
    feedback_request,
    predict_request,
    read_batch,
    read_prediction,
    ready_request,
)
from tintype.client.policy import ClientPolicy, server_of
from tintype.errors import SettingsError
from tintype.types import Prediction, ResultError
from tintype.wire.http_exchange import Exchange


class Session:
    """One server as one client sees it. Raises SettingsError for an address that is none."""

    def __init__(self, url: str, *, policy: ClientPolicy, headers: Mapping[str, str]) -> None:
        self.server = server_of(url)
        self.policy = policy
        self._headers = tuple(headers.items())
        try:
            Exchange(ready_request(self.server, headers=self._headers), limit=0).first_bytes()
        except ValueError as error:
            raise SettingsError(
                f"the client's address or headers cannot be sent: {error}"
            ) from error
        self._breaker = Breaker(after=policy.rest_after, seconds=policy.rest_seconds)

    def resting(self) -> Silence | None:
        """Why the server is left alone just now, None when it is not."""
        if not self._breaker.open(time.monotonic()):
            return None
        detail = f"the server did not answer {self.policy.rest_after} times in a row"
        return Silence(problem=ResultError(type="resting", detail=detail), sent=False)

    def note(self, outcome: Outcome) -> None:
        """Remember whether the server answered."""
        if isinstance(outcome, Silence):
            self._breaker.failed(time.monotonic())
        else:
            self._breaker.answered()

    def predict(self, image: bytes, ask: Ask) -> Conversation:
        """Ask about one picture."""
        request = predict_request(self.server, image, ask, headers=self._headers)
        return conversation(request, retries=self.policy.retries)

    def batch(self, images: Sequence[bytes], ask: Ask) -> Conversation:
        """Ask about many."""
        request = batch_request(self.server, images, ask, headers=self._headers)
        return conversation(request, retries=self.policy.retries)

    def ready(self) -> Conversation:
        """Ask whether the server is ready."""
        request = ready_request(self.server, headers=self._headers)
        return conversation(request, retries=self.policy.retries)

    def feedback(self, prediction: str, said: Feedback) -> Conversation:
        """Say what became of a prediction."""
        request = feedback_request(self.server, prediction, said, headers=self._headers)
        return conversation(request, retries=self.policy.retries)

    def answer(self, outcome: Outcome, ask: Ask) -> Answer:
        """The answer for one picture."""
        return self._answer(read_prediction(outcome), ask)

    def answers(self, outcome: Outcome, ask: Ask, *, count: int) -> tuple[Answer, ...]:
        """An answer for each picture."""
        return tuple(self._answer(read, ask) for read in read_batch(outcome, count=count))

    def _answer(self, read: Prediction | ResultError, ask: Ask) -> Answer:
        defaults = self.policy.defaults
        if isinstance(read, Prediction):
            return live_answer(read, defaults=defaults)
        return default_answer(read, models=ask.models, points=ask.points, defaults=defaults)

    def late(self, *, sent: bool) -> Silence:
        """The deadline passed."""
        detail = f"no answer within {self.policy.seconds:g} seconds"
        return Silence(problem=ResultError(type="deadline-exceeded", detail=detail), sent=sent)


def unreachable(error: Exception) -> Silence:
    """No connection, so nothing was sent."""
    problem = ResultError(type="unreachable", detail=f"the server cannot be reached: {error}")
    return Silence(problem=problem, sent=False)


def broken_off(error: Exception) -> Silence:
    """The connection ended, or what came is no answer."""
    problem = ResultError(type="broken-answer", detail=f"the answer broke off: {error}")
    return Silence(problem=problem, sent=True)
