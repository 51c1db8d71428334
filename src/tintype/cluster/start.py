"""``--on ray``: the application on a Ray of its own on this machine, or on a running cluster."""

from __future__ import annotations

import io
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import ray
from ray import serve
from ray.exceptions import RayError

from tintype.cluster.app import APP, application, sound
from tintype.cluster.config import last_bound
from tintype.cluster.connection import connected
from tintype.cluster.layout import lay_out, least_cpus
from tintype.cluster.unanswered import VARIABLES as OF_UNANSWERED
from tintype.errors import ModelUnavailable, SettingsError
from tintype.models.card import Card
from tintype.settings import Settings

VARIABLES: Final[Mapping[str, str]] = MappingProxyType(
    {**OF_UNANSWERED, "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "30"}
)
"""Of the processes of Serve. A busy machine needs longer than Ray's 5 s to start an HTTP server;
Ray would end it and try again, until it gives up.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Where to run. ``address``: of a running cluster; empty starts one here, for this alone."""

    address: str = ""


def serve_on_ray(
    cards: tuple[Card, ...],
    settings: Settings,
    cluster: Cluster,
    *,
    tell: Callable[[str], None],
) -> None:
    """Serve until SIGINT or SIGTERM, then let what was accepted finish, and leave nothing behind.

    Raises SettingsError where there is no cluster at the address, and what ``application`` raises.
    """
    app = application(cards, settings)
    served = sound(cards)
    for card in cards:
        if card not in served:
            tell(f"left out: {card.name}. tintype inspect {card.file} says why")
    needed = least_cpus(lay_out(served, settings.cluster), settings.cluster)
    with ExitStack() as ending, connected(cluster.address, cores=needed, variables=VARIABLES):
        there = ray.cluster_resources().get("CPU", 0.0)
        if there < needed:
            tell(f"note: {needed:g} cores are wanted, the cluster has {there:g}: waiting for more")
        with _serving(settings, lasts=bool(cluster.address), tell=tell) as address:
            _run(app)
            stop = _stop_signal()
            tell(f"ready: http://{address}  (Ctrl-C stops)")
            stop.wait()
            # Ray's driver writes to stdout that Serve's controller, told to end, has ended.
            ending.enter_context(redirect_stdout(io.StringIO()))


@contextmanager
def _serving(settings: Settings, *, lasts: bool, tell: Callable[[str], None]) -> Iterator[str]:
    """Ray Serve, and where it listens. Of ours nothing is left in a cluster that ``lasts``.

    Where Serve ran before, what was said then of its address holds. Raises SettingsError where it
    has an application of our name: ending ours would end that.
    """
    before = serve.status()
    if APP in before.applications:
        raise SettingsError(
            f"an application {APP!r} is served on this cluster already",
            hint="serve deploy changes it; serve shutdown ends all that Serve has there",
        )
    try:
        serve.start(
            proxy_location="EveryNode",
            http_options=http_options(settings),
            logging_config={"log_level": "WARNING", "enable_access_log": False},
        )
    except RayError as error:
        raise _not_started(error) from error
    ran = bool(before.proxies)
    host, port = settings.server.host, settings.server.port
    if ran:
        host, port = _listens()
        tell("note: Serve was running on this cluster: its address holds, and its longest time")
    try:
        yield f"{host}:{port}"
    finally:
        serve.delete(APP)
        if lasts and not ran and not serve.status().applications:
            serve.shutdown()


def _listens() -> tuple[str, int]:
    controller = ray.get_actor("SERVE_CONTROLLER_ACTOR", namespace="serve")
    options = ray.get(controller.get_http_config.remote())
    return str(options.host), int(options.port)


def _stop_signal() -> threading.Event:
    """Set by SIGINT and SIGTERM from now on."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _run(app: serve.Application) -> None:
    """Start it and wait until it answers. Raises ModelUnavailable where it cannot."""
    try:
        serve.run(app, name=APP, route_prefix="/")
    except RuntimeError as error:
        raise _not_started(error) from error


def _not_started(error: Exception) -> ModelUnavailable:
    first = str(error).partition("\n")[0]
    return ModelUnavailable(
        f"Ray could not start it: {first}", hint="its logs say why: serve status"
    )


def http_options(settings: Settings) -> dict[str, Any]:
    """Ray's own HTTP server: where it listens, and the last bound on a request's time."""
    server = settings.server
    return {"host": server.host, "port": server.port, "request_timeout_s": last_bound(settings)}
