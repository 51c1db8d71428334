"""Which deployment each model runs in. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tintype.engines.engine import CPU, CUDA
from tintype.errors import SettingsError
from tintype.models.card import Card
from tintype.models.cluster_policy import ClusterPolicy

_SHARED = "models"


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """A deployment, and in a shared one the model that its replica must hold."""

    deployment: str
    only: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One deployment of models: what it holds, and how it runs. ``shared``: see SharedModels."""

    name: str
    cards: tuple[Card, ...]
    policy: ClusterPolicy
    shared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Every model by its name."""

    places: Mapping[str, Where] = field(default_factory=dict)

    def of(self, model: str) -> Where:
        """Where a model runs."""
        return self.places[model]


def lay_out(cards: tuple[Card, ...], policy: ClusterPolicy) -> tuple[Deployment, ...]:
    """One deployment a model; one a group, where cards name one; one for all that are shared.

    Cards of a group decode a picture once for all of them. Raises SettingsError for a card whose
    ``[cluster]`` contradicts the settings.
    """
    groups: dict[str, list[Card]] = {}
    shared = policy.models_per_replica > 1
    for card in cards:
        own = card.cluster.get("group")
        name = f"group-{_slug(str(own))}" if own else f"model-{_slug(card.name)}"
        if shared and not card.cluster:
            name = _SHARED
        groups.setdefault(name, []).append(card)
    return tuple(
        Deployment(
            name=name,
            cards=tuple(group),
            policy=_policy(group, policy),
            shared=name == _SHARED,
        )
        for name, group in groups.items()
    )


def on_devices(cards: tuple[Card, ...], policy: ClusterPolicy, *, device: str) -> tuple[Card, ...]:
    """The cards with what each runs on: replicas that hold a GPU use it, others cannot.

    ``device`` is what the settings say. Raises SettingsError where that contradicts the GPUs held.
    """
    devices = {
        card.name: _device(card, each, device)
        for each in lay_out(cards, policy)
        for card in each.cards
        if card.remote is None
    }
    return tuple(_on_device(card, devices.get(card.name)) for card in cards)


def _device(card: Card, deployment: Deployment, device: str) -> str:
    holds = deployment.policy.gpus > 0
    if holds and all(each.device == CPU for each in deployment.cards):
        raise SettingsError(
            f"replicas of {card.name!r} would hold GPUs and not use them: device is cpu",
            hint='gpus = 0 in its [cluster], or no device = "cpu" in its card',
        )
    wanted = card.device or (CUDA if holds else device)
    if wanted != CPU and not holds:
        raise SettingsError(
            f"{card.name!r} is to run on {wanted}, and its replicas hold no GPU",
            hint="[cluster] gpus = 1 in its card, or cluster.gpus; a part of one goes, too",
        )
    return wanted


def _on_device(card: Card, device: str | None) -> Card:
    if device is None:
        return card
    canary = card.canary and _on_device(card.canary, card.canary.device or device)
    earlier = tuple(_on_device(each, each.device or device) for each in card.earlier)
    return replace(card, device=device, canary=canary, earlier=earlier)


def layout_of(deployments: tuple[Deployment, ...]) -> Layout:
    """The same by model."""
    return Layout(
        places={
            card.name: Where(deployment=each.name, only=card.name if each.shared else "")
            for each in deployments
            for card in each.cards
        }
    )


def least_cpus(deployments: tuple[Deployment, ...], policy: ClusterPolicy) -> float:
    """The cores that all deployments and the front hold at their smallest."""
    models = sum(each.policy.replicas_min * each.policy.cpus for each in deployments)
    return models + policy.fronts_min * policy.front_cpus


def _policy(group: list[Card], policy: ClusterPolicy) -> ClusterPolicy:
    for card in group:
        policy = policy.of(card.cluster)
    return policy


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", lambda found: f"%{ord(found[0]):x}", name)
