"""What Ray's handles come to: our errors, and calls that nobody waits for are cancelled."""

from __future__ import annotations

import asyncio
import warnings

import pytest

with warnings.catch_warnings():  # of pydantic, raised by Ray's own classes as they are made
    warnings.filterwarnings("ignore", "Using extra keyword arguments on `Field`")
    from ray.exceptions import ActorDiedError, RayTaskError
    from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

    from tintype.cluster.places import RayPlace

from tintype.errors import (
    DeadlineExceeded,
    ModelUnavailable,
    Overloaded,
    RemoteFailed,
    RemoteUnreachable,
)


class FakeCall:
    """What a handle gives back; ``outcome`` is told, or raised, or never comes (None)."""

    def __init__(self, outcome: object) -> None:
        self.outcome = outcome
        self.cancelled = False

    def __await__(self):
        if self.outcome is None:
            yield from asyncio.get_running_loop().create_future()
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome

    def cancel(self) -> None:
        """Note it."""
        self.cancelled = True


class FakeHandle:
    """A handle to a deployment; every call comes to the next of ``outcomes``, the last again."""

    def __init__(self, *outcomes: object) -> None:
        self.outcomes = [*outcomes]
        self.calls: list[FakeCall] = []
        self.called = asyncio.Event()
        self.answer = self.about = self

    def options(self, **_: object) -> FakeHandle:
        """Itself."""
        return self

    def remote(self, *_: object) -> FakeCall:
        """The next call."""
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        self.calls.append(FakeCall(outcome))
        self.called.set()
        return self.calls[-1]


def place(*outcomes: object) -> tuple[RayPlace, FakeHandle]:
    handle = FakeHandle(*outcomes)
    return RayPlace(handle, name="model-pets"), handle


async def test_a_reply_is_handed_on():
    """As the bytes that it is."""
    made, _ = place(b"reply")
    assert b"reply" == await made.ask(b"", b"", within=1)


async def test_a_late_reply_is_given_up_and_cancelled_there():
    """Nobody waits for it any more."""
    made, handle = place(None)
    with pytest.raises(DeadlineExceeded):
        await made.ask(b"", b"", within=0.01)
    assert handle.calls[0].cancelled


async def test_a_caller_that_leaves_cancels_the_call():
    """The picture is not decoded for nobody."""
    made, handle = place(None)
    task = asyncio.ensure_future(made.ask(b"", b"", within=60))
    await handle.called.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert handle.calls[0].cancelled


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (BackPressureError(6, 6), Overloaded),
        (ActorDiedError(), ModelUnavailable),
        (DeploymentUnavailableError("model-pets"), ModelUnavailable),
        (asyncio.CancelledError(), ModelUnavailable),
        (RayTaskError("answer", "trace", ValueError("a fault")), RemoteFailed),
    ],
    ids=["full", "died", "unavailable", "withdrawn", "fault"],
)
async def test_errors_of_ray_are_errors_of_ours(raised, expected):
    """None becomes a fault of the server without words."""
    made, handle = place(raised, "")
    with pytest.raises(expected) as told:
        await made.ask(b"", b"", within=1)
    assert "model-pets" in told.value.message
    assert 1 == len([each for each in handle.calls if each.outcome is raised])  # never asked twice


async def test_it_is_unreachable_until_a_replica_answers_again():
    """Health is told as it is, without anybody's asking."""
    made, handle = place(ActorDiedError(), None, "")
    handle.outcomes[1] = DeploymentUnavailableError("model-pets")
    with pytest.raises(ModelUnavailable):
        await made.ask(b"", b"", within=1)
    assert not made.reachable
    async with asyncio.timeout(10):
        while not made.reachable:  # noqa: ASYNC110 - health is looked at, it tells nobody
            await asyncio.sleep(0.01)


async def test_a_deployment_without_replicas_is_asked_for_again_later():
    """It is no fault of the model's."""
    made, _ = place(DeploymentUnavailableError("model-pets"))
    with pytest.raises(RemoteUnreachable, match="no replica"):
        await made.about("pets@1")


async def test_shared_replicas_are_not_asked_before_there_is_a_picture():
    """They would load every model at the start."""
    handle = FakeHandle(None)
    assert "f32" == await RayPlace(handle, name="models", only="pets").about("pets@1")
    assert [] == handle.calls
