"""The Serve application of a folder of models. ``serve deploy`` builds it with ``build``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ray import serve
from ray.serve import Application

from tintype.cluster.config import front_seconds, replica_seconds
from tintype.cluster.front import Front
from tintype.cluster.layout import Deployment, lay_out, layout_of, on_devices
from tintype.cluster.replica import Models, SharedModels, within_share
from tintype.errors import SettingsError
from tintype.models.card import Card
from tintype.models.cluster_policy import ClusterPolicy
from tintype.models.library import find_cards
from tintype.settings import Settings, read_settings
from tintype.wiring.plans import LeftOut, make_plans

APP: Final = "tintype"
_FRONT: Final = "front"
_FRONT_TARGET: Final = 64.0
_STARTS: Final = 3
_TOLD_SECONDS: Final = 10.0
"""How often queues are told to Ray's controller if not set; more often only where it must be."""
_HEALTH_SECONDS: Final = 2.0
_UNANSWERED_SECONDS: Final = 20.0


def build(args: Mapping[str, Any]) -> Application:
    """The application out of the ``args`` of a Serve config.

    ``models``: paths, the same on every node. ``config``: a settings file on the node that builds.
    ``settings``: settings by their dotted names. Variables ``TINTYPE_...`` count as always. Raises
    SettingsError, ModelFileError.
    """
    unknown = sorted({*args} - {"models", "config", "settings"})
    paths = args.get("models")
    if unknown or not isinstance(paths, list | tuple) or not paths:
        raise SettingsError(
            f"args of tintype.cluster.app:build: got {', '.join(sorted(args)) or 'nothing'}, "
            "expected models (a list of paths), config and settings",
            hint="tintype serve MODELS --on ray --print-config writes them",
        )
    settings = read_settings(
        file=Path(args["config"]) if args.get("config") else None,
        flags={**args.get("settings", {})},
    )
    return application(find_cards(tuple(Path(path) for path in paths)), settings)


def application(cards: tuple[Card, ...], settings: Settings) -> Application:
    """The front bound to the deployments of its models.

    A model that cannot be served and need not be gets no deployment; the front tells of it. Raises
    SettingsError, and ModelFileError as ``make_plans`` does.
    """
    _check(settings)
    cards = on_devices(cards, settings.cluster, device=settings.engine.device)
    deployments = lay_out(sound(cards), settings.cluster)
    handles = {each.name: _bound(each, settings) for each in deployments}
    front = serve.deployment(Front).options(**_front_options(settings))
    bound: Application = front.bind(cards, settings, layout_of(deployments), handles)
    return bound


def sound(cards: tuple[Card, ...]) -> tuple[Card, ...]:
    """The cards whose files can be read, and those whose server may come back."""
    left: list[LeftOut] = []
    plans = asyncio.run(make_plans(cards, left_out=left.append, patient=True))
    names = {plan.card.name for plan in plans} | {
        each.card.name for each in left if each.comes_back
    }
    return tuple(card for card in cards if card.name in names)


def _bound(deployment: Deployment, settings: Settings) -> Application:
    policy = deployment.policy
    own = within_share(settings, cpus=policy.cpus)
    kind = SharedModels if deployment.shared else Models
    more = (policy.models_per_replica,) if deployment.shared else ()
    made = serve.deployment(kind).options(
        name=deployment.name,
        max_ongoing_requests=policy.max_ongoing,
        max_queued_requests=policy.max_queued,
        autoscaling_config={
            "min_replicas": policy.replicas_min,
            "max_replicas": policy.replicas_max,
            "target_ongoing_requests": policy.target_ongoing,
            **_pace(policy),
        },
        ray_actor_options={"num_cpus": policy.cpus, "num_gpus": policy.gpus},
        **_lifetime(replica_seconds(settings)),
    )
    bound: Application = made.bind(deployment.cards, own, *more)
    return bound


def _front_options(settings: Settings) -> dict[str, Any]:
    """The front refuses by itself, in our words, long before Ray's own bounds are met."""
    policy, most = settings.cluster, settings.requests.max_in_flight
    return {
        "name": _FRONT,
        "max_ongoing_requests": 2 * most,
        "max_queued_requests": most,
        "backpressure_config": {"status_code": 503, "retry_after_s": 1},
        "autoscaling_config": {
            "min_replicas": policy.fronts_min,
            "max_replicas": policy.fronts_max,
            "target_ongoing_requests": _FRONT_TARGET,
            **_pace(policy),
        },
        "ray_actor_options": {"num_cpus": policy.front_cpus},
        **_lifetime(front_seconds(settings)),
    }


def _pace(policy: ClusterPolicy) -> dict[str, Any]:
    return {
        "upscale_delay_s": policy.upscale_seconds,
        "downscale_delay_s": policy.downscale_seconds,
        "look_back_period_s": 2 * max(0.5, policy.upscale_seconds),
        "metrics_interval_s": min(_TOLD_SECONDS, max(0.25, policy.upscale_seconds)),
    }


def _lifetime(seconds: float) -> dict[str, Any]:
    """``seconds``: how long a replica that is to go may take to finish what it accepted."""
    return {
        "graceful_shutdown_wait_loop_s": 0.2,
        "graceful_shutdown_timeout_s": seconds,
        "health_check_period_s": _HEALTH_SECONDS,
        "health_check_timeout_s": _UNANSWERED_SECONDS,
        "max_constructor_retry_count": _STARTS,
        "logging_config": {"enable_access_log": False},  # our own line tells more
    }


def _check(settings: Settings) -> None:
    """Refuse what several fronts cannot share."""
    if settings.cluster.fronts_max > 1 and settings.record.enabled and not settings.record.database:
        raise SettingsError(
            f"cluster.fronts_max is {settings.cluster.fronts_max}, and the record is a file of one "
            "machine: each front would have its own",
            hint='record.database = "postgresql://...", or record.enabled = false',
        )
