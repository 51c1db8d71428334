"""Runs the web application: loads the models, binds the address, serves, drains."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import typer
import uvicorn
import uvloop

from tintype.access.addresses import is_loopback
from tintype.access.door import Door
from tintype.cli.allocator import map_large_blocks
from tintype.cli.connection import connection_with
from tintype.cli.report import noting_left_out, print_left_out, summary_lines
from tintype.cli.shedding import Shedding, asking_paths
from tintype.errors import SettingsError
from tintype.log_setup import LogLines, set_up_logs
from tintype.metrics import LOG_DROPPED, SHED
from tintype.models.card import Card
from tintype.models.library import Find
from tintype.models.plan import ModelPlan
from tintype.settings import ServerSettings, Settings
from tintype.web.app import create_app
from tintype.web.forwarded import Forwarded, trusted_proxies
from tintype.wiring.plans import LeftOut, make_plans
from tintype.wiring.running import running

_BACKLOG = 1024
_MOST_FILES = 65_536
_DRAIN_SECONDS = 30
_INTERRUPTED = 130  # what shells say of a program that SIGINT ended


def serve(find: Find, *, settings: Settings, samples: tuple[Path, ...] = ()) -> None:
    """Serve what ``find`` finds until SIGINT or SIGTERM, then finish what was accepted.

    Raises ModelFileError and SettingsError before anything is listened to.
    """
    lines = set_up_logs(settings.log)
    map_large_blocks()
    _allow_connections()
    listener = bind(settings.server)
    with listener, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_serve(find, settings, samples, listener, lines))
        finally:
            # All is closed and written. Only threads are left, of which one may still load a
            # model; who does not want to wait for it presses Ctrl-C again.
            signal.signal(signal.SIGINT, _leave_at_once)


def _leave_at_once(*_: object) -> None:
    os._exit(_INTERRUPTED)


def _allow_connections() -> None:
    """Let as many files be open as the system allows: shells give 1024, and each caller is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft < most:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class _Server(uvicorn.Server):
    """Says when it is ready, and leaves by its own door on a signal.

    uvicorn's own handling ends the process; here what is wired around it is drained and closed.
    """

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept, with the signals already in hand; then tell the address."""
        await super().startup(sockets)
        for listener in sockets or ():
            host, port = listener.getsockname()[:2]
            _tell(f"ready: http://{_shown(host)}:{port}  (Ctrl-C stops)")

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM stop accepting; a second SIGINT stops waiting."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


async def _serve(
    find: Find,
    settings: Settings,
    samples: tuple[Path, ...],
    listener: socket.socket,
    lines: LogLines,
) -> None:
    absent: list[LeftOut] = []
    async with running(
        await _planned(find(), absent),
        settings=settings,
        left_out=print_left_out,
        absent=tuple(absent),
        find=find,
    ) as services:
        if services.metrics is not None:
            services.metrics.watch(LOG_DROPPED, lambda: [((), lines.dropped)])
        app = create_app(services, limits=settings.uploads, compat=settings.compat, samples=samples)
        proxies = trusted_proxies(
            settings.server.trusted_proxies, header=settings.server.forwarded_header
        )
        _warn_if_open(settings, services.door)
        shedding = Shedding(
            asking_paths(app),
            services.predictor.refusal,
            soon=asyncio.get_running_loop().call_soon,
        )
        if services.metrics is not None:
            services.metrics.watch(SHED, lambda: [((), shedding.refused)])
        server = _Server(
            uvicorn.Config(
                Forwarded(app, proxies=proxies),
                http=connection_with(shedding),
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,  # our own, which believes nobody by default
                timeout_graceful_shutdown=_DRAIN_SECONDS,
            )
        )
        _listen(listener, settings.server)
        await server.serve(sockets=[listener])


def _warn_if_open(settings: Settings, door: Door | None) -> None:
    """Say it loudly when everybody on a network may ask."""
    asks = door is not None and door.asks_for_keys
    if door is not None and asks and not door.keyring.has_keys:
        _tell("note: there is no API key yet, so nobody comes in: tintype keys add NAME")
    if asks or (is_loopback(settings.server.host) and not settings.server.trusted_proxies):
        return
    _tell(
        "WARNING: no API key is asked for. Everyone who reaches"
        f" {settings.server.host} port {settings.server.port} may use this server.\n"
        "         tintype keys add NAME makes a key; from then on one is asked for."
    )


async def _planned(cards: tuple[Card, ...], absent: list[LeftOut]) -> tuple[ModelPlan, ...]:
    """Read the model files, and say what was decided about each and why."""
    plans = await make_plans(cards, left_out=noting_left_out(absent), patient=True)
    for plan in plans:
        _tell("\n".join(summary_lines(plan)))
    return plans


def _tell(words: str) -> None:
    """Words for the person who started this, if there is one: a full disk must not stop it."""
    with suppress(OSError):
        typer.echo(words, err=True)


def bind(server: ServerSettings) -> socket.socket:
    """Take the address before the models are loaded: a taken port is told at once.

    Raises SettingsError.
    """
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((server.host, server.port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise _cannot_listen(server, error) from error
    return listener


def _listen(listener: socket.socket, server: ServerSettings) -> None:
    """Accept from now on: only when every model is ready, so that nobody waits in the dark."""
    try:
        listener.listen(_BACKLOG)
    except OSError as error:
        raise _cannot_listen(server, error) from error


def _cannot_listen(server: ServerSettings, error: Exception) -> SettingsError:
    return SettingsError(
        f"cannot listen on {server.host} port {server.port}: {error}",
        hint="another address: --host, another port: --port (0 takes a free one)",
    )


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
