"""Connections for reports: they read while the writer writes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from tintype.record.items import unavailable
from tintype.record.place import Place

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

T = TypeVar("T")


class Readers:
    """One pool of connections, made when the first report is asked for."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._engine: Engine | None = None
        self._lock = threading.Lock()

    def read(self, work: Callable[[Connection], T]) -> T:
        """Do ``work`` in this thread. Raises RecordUnavailable."""
        from sqlalchemy.exc import DBAPIError  # noqa: PLC0415 - never on the way to ready

        from tintype.record.database import make_engine, reading  # noqa: PLC0415 - the same

        with self._lock:
            engine = self._engine = self._engine or make_engine(self._place)
        try:
            with reading(engine) as connection:
                return work(connection)
        except DBAPIError as error:
            raise unavailable(str(error.orig)) from error

    def close(self) -> None:
        """Close the connections."""
        if self._engine is not None:
            self._engine.dispose()
