"""Models in Ray deployments, asked through their handles. Ray's errors end here."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

import structlog
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, RayServeException

from tintype.errors import (
    DeadlineExceeded,
    ModelUnavailable,
    Overloaded,
    RemoteFailed,
    RemoteUnreachable,
    ServingError,
)

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle, DeploymentResponse

_FIRST_WAIT_SECONDS: Final = 60.0
_WAIT_SECONDS: Final = 2.0
_PROBE_SECONDS: Final = 1.0
_RETRY_AFTER: Final = 1

log = structlog.get_logger(__name__)


class RayPlace:
    """A Place: one deployment, or in a shared one the replicas that hold ``only``.

    Nothing is asked twice: a picture that ends the process of one replica must not end another's.
    """

    def __init__(self, handle: DeploymentHandle, *, name: str, only: str = "") -> None:
        # Bytes go straight to the replica; by reference, larger ones take a detour through the
        # object store of both machines.
        self._handle: Any = handle.options(_by_reference=False, multiplexed_model_id=only)
        self._name = name
        self._only = only
        self._up = True
        self._born = time.monotonic()
        self._probe: asyncio.Task[None] | None = None

    @property
    def reachable(self) -> bool:
        """Whether a replica answered when it was last asked."""
        return self._up

    async def about(self, model: str) -> str:
        """The precision of a loaded version. Raises RemoteUnreachable: it is asked for again.

        A shared deployment loads a model when it is first asked about a picture.
        """
        if self._only:
            return "f32"
        within = max(_WAIT_SECONDS, self._born + _FIRST_WAIT_SECONDS - time.monotonic())
        try:
            return str(await self._heard(self._handle.about.remote(model), within=within))
        except ServingError as error:
            raise RemoteUnreachable(
                f"no replica of {self._name!r} answers yet: {error.message}",
                hint="serve status tells what its replicas are doing",
            ) from error

    async def ask(self, image: bytes, question: bytes, *, within: float) -> bytes:
        """Ask a replica. Raises DeadlineExceeded, ModelUnavailable, Overloaded, RemoteFailed."""
        reply: bytes = await self._heard(self._handle.answer.remote(image, question), within=within)
        return reply

    async def _heard(self, response: DeploymentResponse[Any], *, within: float) -> Any:
        """What a call comes to; a call that nobody waits for is cancelled where it runs."""
        try:
            async with asyncio.timeout(within):
                heard = await response
        except TimeoutError:
            response.cancel()
            raise DeadlineExceeded(
                "the deadline passed before the model's answer was there"
            ) from None
        except asyncio.CancelledError:
            response.cancel()
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise self._gone("its replica went away before it was asked") from None
        except (RayError, RayServeException) as error:
            raise self._translated(error) from error
        self._up = True
        return heard

    def _translated(self, error: Exception) -> ServingError:
        if isinstance(error, BackPressureError):
            return Overloaded(
                f"more is asked of {self._name!r} than its replicas can take",
                hint="try again later; the setting cluster.max_queued moves the limit",
                retry_after=_RETRY_AFTER,
            )
        if isinstance(error, RayTaskError) and not isinstance(error, RayActorError):
            log.error("a replica failed", place=self._name, exc_info=error)
            return RemoteFailed(f"a replica of {self._name!r} failed; its log says why")
        return self._gone("its replica ended while it was at work")

    def _gone(self, why: str) -> ModelUnavailable:
        log.warning("a replica is gone", place=self._name, why=why)
        self._up = False
        if self._probe is None or self._probe.done():
            self._probe = asyncio.ensure_future(self._until_up())
        return ModelUnavailable(
            f"the model at {self._name!r} gave no answer: {why}",
            hint="try again: another replica answers",
            retry_after=_RETRY_AFTER,
        )

    async def _until_up(self) -> None:
        """Ask until a replica answers, so that the health that is told is the one that holds."""
        while not self._up:
            try:
                async with asyncio.timeout(_PROBE_SECONDS):
                    await self._handle.about.remote("")
                self._up = True
            except (TimeoutError, RayError, RayServeException):
                await asyncio.sleep(_PROBE_SECONDS)
