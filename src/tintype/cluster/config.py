"""The Serve config of a folder of models, as ``serve deploy`` and a KubeRay RayService take it.

Text, and the seconds in it and in the application: Ray is not needed for them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from tintype.record import pictures, recorder
from tintype.settings import Setting, Settings, Value, all_settings, shown

_FORMAT = """\
# What `serve deploy` takes. Paths are those on the nodes of the cluster.
proxy_location: EveryNode
http_options:
  host: {host}
  port: {port}
  request_timeout_s: {timeout:g}
applications:
  - name: tintype
    route_prefix: /
    import_path: tintype.cluster.app:build
    args:
      models: {models}
{settings}"""
EVERYWHERE = "0.0.0.0"  # noqa: S104 - each node's proxy is asked from outside the node
_SPARE_SECONDS = 10.0
_REPLICA_SPARE_SECONDS = 5.0


def serve_config(models: tuple[str, ...], settings: Settings, *, host: str = EVERYWHERE) -> str:
    """The config as YAML. A setting that holds a secret is left out, and named in a comment.

    ``host``: where the proxy of every node listens. It is no setting's default: that of a server on
    one machine is reached by nobody but that machine.
    """
    plain, secret = _changed(settings)
    lines = [f"      settings: {json.dumps(plain)}\n"] if plain else []
    lines += [f"      # {each.variable} holds a secret: set it on the nodes\n" for each in secret]
    return _FORMAT.format(
        host=json.dumps(host),
        port=settings.server.port,
        timeout=last_bound(settings),
        models=json.dumps(models),
        settings="".join(lines),
    )


def last_bound(settings: Settings) -> float:
    """Seconds after which Ray's HTTP server gives up what none of our limits ended."""
    most = settings.uploads.max_body_seconds + settings.requests.deadline_seconds
    return most + _SPARE_SECONDS


def replica_seconds(settings: Settings) -> float:
    """The longest a replica that is to go may take to finish what it has accepted."""
    return settings.requests.deadline_seconds + _REPLICA_SPARE_SECONDS


def front_seconds(settings: Settings) -> float:
    """The same of a front, which then writes its record and its pictures."""
    return replica_seconds(settings) + recorder.LEAVE_SECONDS + pictures.LEAVE_SECONDS


def _changed(settings: Settings) -> tuple[dict[str, Value], list[Setting]]:
    """What is not as it would be without being said; secrets apart."""
    plain: dict[str, Value] = {}
    secret: list[Setting] = []
    for each in _said(settings):
        if shown(each) != each.value:
            secret.append(each)
        else:
            plain[f"{each.section}.{each.name}"] = each.value
    return plain, secret


def _said(settings: Settings) -> Iterator[Setting]:
    """All but where to listen, which the config says itself."""
    usual = {(each.section, each.name): each.value for each in all_settings(Settings())}
    for each in all_settings(settings):
        place = (each.section, each.name)
        if place not in {("server", "host"), ("server", "port")} and each.value != usual[place]:
            yield each
