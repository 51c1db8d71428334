"""Keeping pictures, where that was asked for, without holding anybody up.

A thread of its own takes pictures out of a queue that is bounded in bytes, leaves out what they
tell beside their pixels, notes them in the record and writes them; and deletes what is too old,
too much, or of no prediction any more. A row comes before its file and goes after it: a file
without a row is never left behind, whichever of several processes wrote the one and deletes the
other.
"""

from __future__ import annotations

import queue
import threading
import time
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as TooLong
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, Self, TypeAlias

import structlog

from tintype.errors import ImageError, TintypeError
from tintype.record.items import statements
from tintype.record.picture_place import PicturePlace, picture_name
from tintype.record.policy import PicturePolicy
from tintype.record.recorder import Asked, Recorder
from tintype.record.values import KeptPicture, now_ms
from tintype.types import Prediction

MOST_BYTES: Final = 64 << 20
_AT_ONCE: Final = 16
_FIRST_SWEEP_SECONDS: Final = 5.0
_SWEEP_SECONDS: Final = 60.0
_SWEPT_AT_ONCE: Final = 200
_PATIENCE_SECONDS: Final = 30.0
LEAVE_SECONDS: Final = 10.0
_DAY_MS: Final = 86_400_000
_MEBIBYTE: Final = 1 << 20

log = structlog.get_logger(__name__)


class Strip(Protocol):
    """Leaves out of a picture what it tells beside its pixels. Raises ImageError."""

    def __call__(self, image: bytes, *, kind: str, orientation: int) -> bytes:
        """The picture alone."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    """A picture as it was sent."""

    image: bytes
    sha256: str
    kind: str
    orientation: int


class _Sweep:
    """Look at once for what is to be deleted."""


class _Stop:
    """The end."""


_Item: TypeAlias = _Sent | _Sweep | _Stop


class PictureKeeper:
    """An observer of predictions that keeps their pictures. Enter it to start its thread.

    Where keeping is switched off it keeps none, and deletes what was kept before as it ages.
    """

    def __init__(
        self, record: Recorder, *, place: PicturePlace, policy: PicturePolicy, strip: Strip
    ) -> None:
        self._record = record
        self._place = place
        self._policy = policy
        self._strip = strip
        self._items: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._taken = 0
        self._done = 0
        self._sweep_at = 0.0
        self._troubled = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._work, name="pictures-kept", daemon=True)

    @property
    def keeps(self) -> bool:
        """Whether pictures are kept."""
        return self._policy.keep

    def __enter__(self) -> Self:
        """Start the thread, and be told of forgotten predictions."""
        self._record.when_forgotten(lambda: self._items.put(_Sweep()))
        self._sweep_at = time.monotonic() + _FIRST_SWEEP_SECONDS
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Keep what waits, for at most so long."""
        self._items.put(_Stop())
        self._thread.join(LEAVE_SECONDS)

    def answered(self, request: Asked, prediction: Prediction) -> None:
        """Take the picture, or drop and count it when too many bytes wait."""
        if not self._policy.keep:
            return
        size = len(request.image)
        if self._taken - self._done + size > MOST_BYTES:
            self.dropped += 1
            return
        self._taken += size
        self._items.put(
            _Sent(
                image=request.image,
                sha256=prediction.image.sha256,
                kind=prediction.image.format,
                orientation=prediction.image.orientation,
            )
        )

    def refused(self, request: Asked, error: TintypeError, *, seconds: float) -> None:
        """What was refused is not kept."""

    def read(self, name: str) -> bytes:
        """A kept picture by its name in the record, read in this thread. Raises OSError."""
        return self._place.get(name)

    def _work(self) -> None:
        going = True
        while going:
            items = self._gather()
            sent = [item for item in items if isinstance(item, _Sent)]
            going = not any(isinstance(item, _Stop) for item in items)
            if any(isinstance(item, _Sweep) for item in items):
                self._sweep_at = 0.0
            try:
                self._keep(sent)
                self._sweep()
            except (OSError, TintypeError, TooLong, CancelledError) as error:
                self._failed(error, sent)
            else:
                self._succeeded(sent)
            self._done += sum(len(each.image) for each in sent)

    def _gather(self) -> list[_Item]:
        """What waits; nothing at all when it is time to sweep."""
        found: list[_Item] = []
        try:
            found.append(self._items.get(timeout=max(0.0, self._sweep_at - time.monotonic())))
            while len(found) < _AT_ONCE:
                found.append(self._items.get_nowait())
        except queue.Empty:
            pass
        return found

    def _keep(self, sent: list[_Sent]) -> None:
        """Rows first, then files; a row whose file cannot be written goes again."""
        bare = {each.sha256: data for each in sent if (data := self._bare(each)) is not None}
        kept = [
            KeptPicture(
                sha256=each.sha256,
                at_ms=now_ms(),
                name=picture_name(each.sha256, each.kind),
                bytes=len(bare[each.sha256]),
            )
            for each in {each.sha256: each for each in sent}.values()
            if each.sha256 in bare
        ]
        if not kept:
            return
        fresh: tuple[KeptPicture, ...] = self._record.hand_over(
            lambda connection: statements().add_pictures(connection, kept)
        ).result(_PATIENCE_SECONDS)
        written = 0
        try:
            for each in fresh:
                self._place.put(each.name, bare[each.sha256])
                written += 1
        finally:
            if written < len(fresh):
                self._drop([each.sha256 for each in fresh[written:]])
        self._unless_gone(fresh)

    def _unless_gone(self, written: tuple[KeptPicture, ...]) -> None:
        """Delete files whose rows went while they were written: another process did that."""
        if not written:
            return
        hashes = [each.sha256 for each in written]
        kept = self._record.read_here(
            lambda connection: statements().still_kept(connection, hashes)
        )
        for each in written:
            if each.sha256 not in kept:
                self._place.delete(each.name)

    def _bare(self, sent: _Sent) -> bytes | None:
        try:
            return self._strip(sent.image, kind=sent.kind, orientation=sent.orientation)
        except ImageError:  # decoders are lenient; what cannot be followed is not kept
            self.dropped += 1
            return None

    def _sweep(self) -> None:
        """Delete what is too old, too much or forgotten: files first, then their rows."""
        if time.monotonic() < self._sweep_at:
            return
        self._sweep_at = time.monotonic() + _SWEEP_SECONDS
        days = self._policy.keep_days
        before = now_ms() - int(days * _DAY_MS) if days else 1
        found: tuple[KeptPicture, ...] = self._record.hand_over(
            lambda connection: statements().excess_pictures(
                connection,
                before_ms=before,
                max_bytes=self._policy.max_mib * _MEBIBYTE,
                most=_SWEPT_AT_ONCE,
            )
        ).result(_PATIENCE_SECONDS)
        for each in found:
            self._place.delete(each.name)
        if found:
            hashes = [each.sha256 for each in found]
            self._record.hand_over(
                lambda connection: statements().drop_gone(connection, hashes)
            ).result(_PATIENCE_SECONDS)
        if len(found) == _SWEPT_AT_ONCE:
            self._sweep_at = 0.0  # the rest after what came meanwhile

    def _drop(self, hashes: list[str]) -> None:
        self._record.hand_over(
            lambda connection: statements().drop_pictures(connection, hashes)
        ).result(_PATIENCE_SECONDS)

    def _failed(self, error: Exception, sent: list[_Sent]) -> None:
        """A full disk, or a record that is away, stops nothing: it is told once."""
        self.dropped += len(sent)
        if not self._troubled:
            why = str(error) or type(error).__name__
            log.error("pictures cannot be kept or deleted; predictions go on", why=why)
        self._troubled = True

    def _succeeded(self, sent: list[_Sent]) -> None:
        if sent and self._troubled:
            log.warning("pictures are kept again", dropped=self.dropped)
            self._troubled = False
