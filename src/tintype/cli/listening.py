"""The web application behind its address. Imported while the models are loaded."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from tintype.cli.connection import Connection
from tintype.cli.shared_listener import SharedListener
from tintype.cli.shedding import Shedding, asking_paths
from tintype.cli.shedding_connection import connection_with
from tintype.metrics import SHED
from tintype.settings import Settings
from tintype.web.app import create_app
from tintype.web.forwarded import Forwarded, trusted_proxies
from tintype.web.services import Services


def make_server(  # noqa: PLR0913 - what is served, and in which way
    services: Services,
    *,
    settings: Settings,
    samples: tuple[Path, ...],
    drain_seconds: int,
    ready: Callable[[], None],
    shared: SharedListener | None = None,
) -> uvicorn.Server:
    """The server of ``services``, not yet listening. It calls ``ready`` when it takes connections.

    It has ``drain_seconds`` to finish what it accepted. ``shared``: how connections come in that
    are shared with other processes. Raises SettingsError.
    """
    app = create_app(services, limits=settings.uploads, compat=settings.compat, samples=samples)
    proxies = trusted_proxies(
        settings.server.trusted_proxies, header=settings.server.forwarded_header
    )
    shedding = Shedding(
        asking_paths(app.routes),
        services.predictor.refusal,
        soon=asyncio.get_running_loop().call_soon,
    )
    if services.metrics is not None:
        services.metrics.watch(SHED, lambda: [((), shedding.refused)])
    return _Server(
        uvicorn.Config(
            Forwarded(app, proxies=proxies),
            http=connection_with(shedding, gone=None if shared is None else shared.gone),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # our own, which believes nobody by default
            timeout_graceful_shutdown=drain_seconds,
        ),
        ready=ready,
        shared=shared,
    )


class _Server(uvicorn.Server):
    """Says when it is ready, and leaves by its own door on a signal.

    uvicorn's own handling ends the process; here what is wired around it is drained and closed.
    """

    def __init__(
        self, config: uvicorn.Config, *, ready: Callable[[], None], shared: SharedListener | None
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._shared = shared

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept, with the signals already in hand; then say so."""
        if self._shared is None:
            await super().startup(sockets)
        else:
            await self.lifespan.startup()
            self._shared.open(self._make_connection)
            self.servers = [self._shared]  # type: ignore[list-item]  # what is asked of them
            self.started = True
        self._ready()

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

    def _make_connection(self) -> Connection:
        made: Connection = self.config.http_protocol_class(  # type: ignore[call-arg,assignment]  # as uvicorn's own
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made
