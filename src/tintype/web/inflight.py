"""Pictures of all requests together: a bound on what many large ones at once may take."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from tintype.errors import Overloaded


class BytesInFlight:
    """Counts bytes that are held for requests, up to ``most``; ``held`` are those now."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes held now."""
        return self._held

    def counted(self) -> _Counted:
        """A function that counts the bytes it is told of, until the end of the block.

        It raises Overloaded, at once, when they are too many together with those of others; the
        others go on.
        """
        return _Counted(self)

    def hold(self, size: int) -> None:
        """Hold more. Raises Overloaded when that is too much; it is held all the same."""
        self._held += size
        if self._held > self._most:
            raise Overloaded(
                f"the pictures of all requests together have more than {self._most} bytes",
                hint="try again later; the setting uploads.max_bytes_in_flight moves the limit",
                limit=self._most,
            )

    def give_back(self, size: int) -> None:
        """Hold that much less."""
        self._held -= size


class _Counted:
    """One request's share of what is held, until the block ends."""

    __slots__ = ("_held", "_mine")

    def __init__(self, held: BytesInFlight) -> None:
        self._held = held
        self._mine = 0

    def __enter__(self) -> Callable[[int], None]:
        return self._count

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._held.give_back(self._mine)

    def _count(self, size: int) -> None:
        self._mine += size
        self._held.hold(size)
