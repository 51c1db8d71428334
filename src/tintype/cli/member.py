"""One of the processes that serve at one address, or the only one: what sets it apart."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from tintype.cli.report import print_left_out
from tintype.cli.shared_listener import Seats, SharedListener
from tintype.log_setup import AmongSeveral
from tintype.wiring.plans import LeftOut
from tintype.worker import ALONE, Worker

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A process that serves.

    ``speaks``: it tells the person who started this what is served. ``ready`` is called when it
    takes connections. The rest is of one of several: how its lines are told apart, the seats that
    it shares connections by, and the end of a pipe that closes when the process has gone that would
    end this one.
    """

    ready: Callable[[], None]
    worker: Worker = ALONE
    speaks: bool = True
    among: AmongSeveral | None = None
    seats: Seats | None = None
    parent: int | None = None

    def watch_parent(self) -> None:
        """Leave in good order when the process has gone that would say so. In a running loop."""
        if self.parent is not None:
            asyncio.get_running_loop().add_reader(self.parent, self._leave, self.parent)

    def shared(self, listener: socket.socket) -> SharedListener | None:
        """How connections come in that are shared with others; None where all are its own."""
        if self.seats is None:
            return None
        return SharedListener(listener, seats=self.seats, number=self.worker.number)

    def left_out(self, left: LeftOut) -> None:
        """Tell that a model is not served here: to the person, or in the log."""
        if self.speaks:
            print_left_out(left)
            return
        said = log.info if left.comes_back else log.warning
        said("model left out", model=left.card.name, why=left.error.message)

    @staticmethod
    def _leave(parent: int) -> None:
        asyncio.get_running_loop().remove_reader(parent)
        os.kill(os.getpid(), signal.SIGTERM)
