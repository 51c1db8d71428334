"""Runs the web application: loads the models, binds the address, serves, drains."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import ModuleType

import uvloop

from tintype.access.addresses import is_loopback
from tintype.access.door import Door
from tintype.cli.allocator import map_large_blocks
from tintype.cli.family import Family
from tintype.cli.member import Member
from tintype.cli.report import noting_left_out, summary_lines, tell
from tintype.cores import share_cores, usable_cores
from tintype.errors import SettingsError
from tintype.imaging.decode import most_pixels
from tintype.log_setup import LogLines, set_up_logs
from tintype.metrics import LOG_DROPPED
from tintype.models.card import Card
from tintype.models.library import Find
from tintype.models.plan import ModelPlan
from tintype.settings import ServerSettings, Settings, settings_of_one
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
    map_large_blocks()
    _allow_connections()
    processes = settings.server.processes
    if processes > 1:
        check_cores(processes)
    with bind(settings.server) as listener:
        address = address_of(listener)
        if processes == 1:
            member = Member(ready=partial(tell_ready, address))
            _serve_as(member, find, settings, samples, listener)
            return
        share = settings_of_one(settings, of=processes)
        _note_small_room(share)
        family = Family(
            lambda member: _serve_as(member, find, share, samples, listener),
            of=processes,
            log=settings.log,
            ready=partial(tell_ready, address),
            close=listener.close,
        )
        family.run()


def _serve_as(
    member: Member,
    find: Find,
    settings: Settings,
    samples: tuple[Path, ...],
    listener: socket.socket,
) -> None:
    """Serve in this process until it is told to leave."""
    share_cores(member.worker.number, member.worker.of)
    lines = set_up_logs(settings.log, among=member.among)
    with listener, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_serve(member, find, settings, samples, listener, lines))
        finally:
            # All is closed and written. Only threads are left, of which one may still load a
            # model; who does not want to wait for it presses Ctrl-C again.
            signal.signal(signal.SIGINT, _leave_at_once)


def check_cores(processes: int) -> None:
    """Raise SettingsError for more processes than cores: they only wait for each other."""
    cores = usable_cores()
    if processes > cores:
        raise SettingsError(
            f"{processes} processes for {cores} core{'' if cores == 1 else 's'}: "
            "each needs one at least, and a copy of every model",
            hint=f"--processes {cores} at most; one process is good for about ten cores",
        )


def _leave_at_once(*_: object) -> None:
    os._exit(_INTERRUPTED)


def _allow_connections() -> None:
    """Let as many files be open as the system allows: shells give 1024, and each caller is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft < most:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _note_small_room(share: Settings) -> None:
    """Say it where the share of a process is too small for pictures that are allowed."""
    fits = most_pixels(share.memory.picture_bytes)
    if fits < share.images.max_pixels:
        tell(
            f"note: each process has {share.memory.pictures_mib} MiB for decoded pictures: a JPEG"
            f" of more than {fits / 1e6:.0f} megapixels is refused.\n"
            "      memory.pictures_mib is shared among the processes"
        )


async def _serve(  # noqa: PLR0913, PLR0917 - what is served, and in which way
    member: Member,
    find: Find,
    settings: Settings,
    samples: tuple[Path, ...],
    listener: socket.socket,
    lines: LogLines,
) -> None:
    member.watch_parent()
    absent: list[LeftOut] = []
    plans = [await _planned(find(), absent, settings.engine.device, member)]
    importing = asyncio.create_task(asyncio.to_thread(_import_web))
    async with running(
        plans.pop(),  # no name may hold them: they hold their graphs
        settings=settings,
        left_out=member.left_out,
        absent=tuple(absent),
        find=find,
        worker=member.worker,
    ) as services:
        if services.metrics is not None:
            services.metrics.watch(LOG_DROPPED, lambda: [((), lines.dropped)])
        if member.speaks:
            _warn_if_open(settings, services.door)
        web = await importing
        server = web.make_server(
            services,
            settings=settings,
            samples=samples,
            drain_seconds=_DRAIN_SECONDS,
            ready=member.ready,
            shared=member.shared(listener),
        )
        _listen(listener, settings.server, of=member.worker.of)
        await server.serve(sockets=[listener])


def _import_web() -> ModuleType:
    """The web application, while models are loaded: engines do that without Python's lock."""
    from tintype.cli import listening  # noqa: PLC0415 - in a thread of its own

    return listening


def _warn_if_open(settings: Settings, door: Door | None) -> None:
    """Say it loudly when everybody on a network may ask."""
    asks = door is not None and door.asks_for_keys
    if door is not None and asks and not door.keyring.has_keys:
        tell("note: there is no API key yet, so nobody comes in: tintype keys add NAME")
    if asks or (is_loopback(settings.server.host) and not settings.server.trusted_proxies):
        return
    tell(
        "WARNING: no API key is asked for. Everyone who reaches"
        f" {settings.server.host} port {settings.server.port} may use this server.\n"
        "         tintype keys add NAME makes a key; from then on one is asked for."
    )


async def _planned(
    cards: tuple[Card, ...], absent: list[LeftOut], device: str, member: Member
) -> tuple[ModelPlan, ...]:
    """Read the model files, and say what was decided about each and why."""
    left_out = noting_left_out(absent, say=member.left_out)
    plans = await make_plans(cards, left_out=left_out, patient=True, device=device)
    for plan in plans if member.speaks else ():
        tell("\n".join(summary_lines(plan)))
    return plans


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


def address_of(listener: socket.socket) -> str:
    """Where it is bound, as it stands in a URL."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def tell_ready(address: str) -> None:
    """The line that everybody waits for."""
    tell(f"ready: http://{address}  (Ctrl-C stops)")


def _listen(listener: socket.socket, server: ServerSettings, *, of: int) -> None:
    """Accept from now on: only when every model is ready, so that nobody waits in the dark."""
    try:
        listener.listen(_BACKLOG * of)
    except OSError as error:
        raise _cannot_listen(server, error) from error


def _cannot_listen(server: ServerSettings, error: Exception) -> SettingsError:
    return SettingsError(
        f"cannot listen on {server.host} port {server.port}: {error}",
        hint="another address: --host, another port: --port (0 takes a free one)",
    )
