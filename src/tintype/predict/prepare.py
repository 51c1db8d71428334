"""A picture is decoded and made ready for every model asked: views, rows, what the model saw."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from msgspec import Struct

from tintype.batching.gate import ByteGate, Hold
from tintype.errors import DeadlineExceeded
from tintype.imaging.decode import Pixels, decode, decode_work, decoded_bytes
from tintype.imaging.encoded import encoded_row
from tintype.imaging.explain import seen
from tintype.imaging.header import Header
from tintype.imaging.look import look_of
from tintype.imaging.prepare import prepare
from tintype.imaging.steps import Decode
from tintype.imaging.view import cut
from tintype.imaging.window import seen_window
from tintype.models.host import ModelHost
from tintype.predict.answers import Asked
from tintype.predict.request import PredictRequest
from tintype.types import ImageFacts, PictureLook, Point, SeenInput, Task, Tensor, Window

_QUICK_WORK: Final = 6_000_000  # pixels of a JPEG: 25 to 50 ms of decoding


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanes:
    """Threads that decode: ``quick`` for most pictures, ``slow`` for those that take long.

    Each lane has as many threads as it can use, so that a few huge pictures never stand before
    the small ones; the operating system shares the processors between the lanes.
    """

    quick: ThreadPoolExecutor
    slow: ThreadPoolExecutor

    def of(self, header: Header) -> ThreadPoolExecutor:
        """The lane of a picture, by the work that decoding it is."""
        return self.slow if decode_work(header) > _QUICK_WORK else self.quick


class Question(Struct, frozen=True, kw_only=True):
    """One model asked about one point: the row to run, and what the model saw if asked.

    ``window`` is the part of the picture that fills the row, where the model finds boxes in it.
    """

    host: ModelHost
    point: Point | None
    row: Tensor
    window: Window | None
    input: SeenInput | None


class Prepared(Struct, frozen=True, kw_only=True):
    """A picture made ready for every model asked, with the seconds it took."""

    facts: ImageFacts
    look: PictureLook | None
    questions: dict[ModelHost, tuple[Question, ...]]
    """For each model that is there, one question a point."""
    decode_seconds: float
    prepare_seconds: float


class Preparer:
    """Makes pictures ready in the threads of ``lanes``, within the memory that ``gate`` gives."""

    def __init__(self, *, lanes: Lanes, gate: ByteGate) -> None:
        self._lanes = lanes
        self._gate = gate

    def waits_with(self, header: Header, asked: tuple[Asked, ...]) -> ModelHost | None:
        """The one model asked, if the picture may wait for its time before it is made ready.

        Not where that would keep others from another model, or small pictures behind large ones;
        nor where the model's own deadline or fallback would come too late: both are about a
        picture that is ready.
        """
        alone = asked[0] if len(asked) == 1 else None
        if (
            isinstance(alone, ModelHost)
            and alone.deadline_seconds is None
            and not alone.fallback
            and self._lanes.of(header) is self._lanes.quick
        ):
            return alone
        return None

    def memory(self, header: Header, *, deadline: float) -> Hold:
        """The memory that decoding takes, for who decodes in a thread of their own.

        Entering raises DeadlineExceeded, Overloaded, ImageTooLarge.
        """
        return self._gate.hold(decoded_bytes(header), deadline=deadline)

    async def prepare(
        self,
        request: PredictRequest,
        header: Header,
        hosts: tuple[ModelHost, ...],
        *,
        deadline: float,
    ) -> Prepared:
        """Decode in a thread, with the memory for it held until that thread has ended.

        Raises DeadlineExceeded, Overloaded where there is no memory in time, and ImageError.
        """
        async with self._gate.hold(decoded_bytes(header), deadline=deadline) as held:
            work = held.keep_for(
                self._lanes.of(header).submit(prepare_picture, request, header, hosts)
            )
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    return await asyncio.wrap_future(work)
            except TimeoutError:
                raise DeadlineExceeded(
                    "the deadline passed before the picture was decoded",
                    hint="the setting requests.deadline_seconds moves it",
                ) from None
            finally:
                del work  # it holds its error, and the error this frame with the picture


def prepare_picture(
    request: PredictRequest, header: Header, hosts: tuple[ModelHost, ...], *, looks: bool = True
) -> Prepared:
    """Decode once for every way of decoding that a model wants, and make every row.

    One way after the other, each with its rows: never are two decoded pictures in memory.
    Without ``looks`` nobody asks how the picture looks. Raises ImageError.
    """
    seconds = {"decode": 0.0, "prepare": 0.0}
    facts: list[ImageFacts] = []
    look: PictureLook | None = None
    questions: dict[ModelHost, list[Question]] = {host: [] for host in hosts}
    points = request.points or (None,)
    explain = "input" in request.explain
    ways = dict.fromkeys(host.recipe.decode for host in hosts)
    for how in ways or (Decode(),):  # a picture is looked at, even where no model is there
        begun = time.monotonic()
        picture = decode(request.image, header=header, how=how)
        decoded = time.monotonic()
        facts.append(picture.facts)
        if looks and look is None:
            look = look_of(picture.array)
        for host in hosts:
            if host.recipe.decode == how:
                questions[host] += [
                    _question(host, picture, point, image=request.image, explain=explain)
                    for point in points
                ]
        del picture  # before the next one is made
        seconds["decode"] += decoded - begun
        seconds["prepare"] += time.monotonic() - decoded
    return Prepared(
        facts=facts[0],
        look=look,
        questions={host: tuple(asked) for host, asked in questions.items()},
        decode_seconds=seconds["decode"],
        prepare_seconds=seconds["prepare"],
    )


def _question(
    host: ModelHost, picture: Pixels, point: Point | None, *, image: bytes, explain: bool
) -> Question:
    recipe, target = host.recipe, host.target
    if target.tensor.dtype == "string":
        row = encoded_row(image, picture=picture, recipe=recipe, point=point)
        shown: Tensor = cut(picture.array, view=recipe.view, point=point)
    else:
        row = shown = prepare(picture.array, recipe=recipe, target=target, point=point)
    window: Window | None = None
    if host.task is Task.DETECT:
        width, height = picture.facts.width, picture.facts.height
        window = seen_window(width=width, height=height, recipe=recipe, target=target, point=point)
    return Question(
        host=host,
        point=point,
        row=row,
        window=window,
        input=seen(shown, recipe=recipe, target=target) if explain else None,
    )
