"""The front: our web application in a Ray deployment, whose models run in others."""

from __future__ import annotations

from contextlib import AsyncExitStack

import structlog
from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tintype.cluster.layout import Layout
from tintype.cluster.places import RayPlace
from tintype.log_setup import set_up_logs
from tintype.models.card import Card
from tintype.models.far import Place
from tintype.settings import Settings
from tintype.web.app import create_app
from tintype.web.forwarded import Forwarded, trusted_proxies
from tintype.wiring.plans import LeftOut, make_plans
from tintype.wiring.running import running

log = structlog.get_logger(__name__)


@serve.ingress()
class Front:
    """Takes requests as ``tintype serve`` does: same routes, page, limits, keys, record."""

    async def __init__(  # type: ignore[misc]  # Ray waits for it
        self,
        cards: tuple[Card, ...],
        settings: Settings,
        layout: Layout,
        handles: dict[str, DeploymentHandle],
    ) -> None:
        set_up_logs(settings.log)
        self._settings = settings
        self._stack = AsyncExitStack()
        absent: list[LeftOut] = []
        plans = await make_plans(
            cards, left_out=absent.append, patient=True, device=settings.engine.device
        )
        made: dict[str, RayPlace] = {}

        def place(card: Card) -> Place:
            where = layout.of(card.name)
            key = f"{where.deployment} {where.only}"
            if key not in made:
                handle = handles[where.deployment]
                made[key] = RayPlace(handle, name=where.deployment, only=where.only)
            return made[key]

        self._services = await self._stack.enter_async_context(
            running(plans, settings=settings, left_out=_note, absent=tuple(absent), places=place)
        )

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """Ray asks for the application once the services run."""
        settings = self._settings
        app = create_app(self._services, limits=settings.uploads, compat=settings.compat)
        proxies = trusted_proxies(
            settings.server.trusted_proxies, header=settings.server.forwarded_header
        )
        return _one_id(Forwarded(app, proxies=proxies))

    async def __del__(self) -> None:
        """Ray calls it when the replica is to end, and has no request left."""
        await self._stack.aclose()


def _one_id(app: ASGIApp) -> ASGIApp:
    """Leave the header X-Request-ID to Ray's server, which writes the same one on every answer."""

    async def with_one_id(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_once(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [each for each in message["headers"] if each[0] != b"x-request-id"]
                message = {**message, "headers": kept}
            await send(message)

        await app(scope, receive, send_once)

    return with_one_id


def _note(left: LeftOut) -> None:
    log.warning("model left out", model=left.card.name, reason=left.error.message)
