"""Which deployment each model runs in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tintype.cluster.layout import Where, lay_out, layout_of, least_cpus, on_devices
from tintype.errors import SettingsError
from tintype.models.card import Card
from tintype.models.cluster_policy import ClusterPolicy
from tintype.types import RemoteModel


def card(name: str, **cluster: object) -> Card:
    return Card(name=name, file=Path("m.onnx"), cluster=cluster)


def test_every_model_has_a_deployment_of_its_own():
    """Named after it, letters that Ray may not like written out."""
    made = lay_out((card("pets"), card("a b/c")), ClusterPolicy())
    assert ["model-pets", "model-a%20b%2fc"] == [each.name for each in made]


def test_a_card_says_otherwise_for_its_model():
    """The rest is as the settings say."""
    (made,) = lay_out((card("pets", replicas_max=9, gpus=0.5),), ClusterPolicy(cpus=2))
    assert (9, 0.5, 2) == (made.policy.replicas_max, made.policy.gpus, made.policy.cpus)


def test_models_of_a_group_run_together():
    """In one deployment, which decodes a picture once for all of them."""
    cards = (card("colours", group="looks"), card("pets"), card("themes", group="looks"))
    made = lay_out(cards, ClusterPolicy())
    assert [("group-looks", ["colours", "themes"]), ("model-pets", ["pets"])] == [
        (each.name, [one.name for one in each.cards]) for each in made
    ]
    assert Where(deployment="group-looks") == layout_of(made).of("themes")


def test_small_models_share_replicas():
    """All but those whose cards say how they run."""
    policy = ClusterPolicy(models_per_replica=8)
    made = lay_out((card("a"), card("b"), card("c", cpus=4)), policy)
    assert [("models", True), ("model-c", False)] == [(each.name, each.shared) for each in made]
    assert Where(deployment="models", only="b") == layout_of(made).of("b")
    assert Where(deployment="model-c") == layout_of(made).of("c")


def test_the_least_cores_are_those_of_all_that_must_start():
    """Replicas of every model, and the front."""
    policy = ClusterPolicy(cpus=2, front_cpus=0.5)
    made = lay_out((card("a", replicas_min=3), card("b")), policy)
    assert 3 * 2 + 2 + 0.5 == least_cpus(made, policy)


@pytest.mark.parametrize(
    "wrong",
    [
        {"replicas_min": 5},
        {"replicas_max": 0},
        {"fronts_min": 0},
        {"max_ongoing": 0},
        {"models_per_replica": 0},
        {"target_ongoing": 0.0},
    ],
)
def test_numbers_that_make_no_sense_are_refused(wrong):
    """With the setting in the words."""
    with pytest.raises(SettingsError, match=r"cluster\."):
        ClusterPolicy(**wrong)


def test_replicas_that_hold_a_gpu_use_it():
    """Those of a card that says so, its other versions among them, and no others."""
    old = card("pets")
    pets = replace(card("pets", gpus=0.5), canary=old, earlier=(old,))
    on_gpu, on_cpu = on_devices((pets, card("colours")), ClusterPolicy(), device="cpu")

    assert ("cuda", "cpu") == (on_gpu.device, on_cpu.device)
    assert ["cuda", "cuda"] == [on_gpu.canary.device, on_gpu.earlier[0].device]


def test_gpus_for_all_are_used_by_all_but_those_on_other_servers():
    """``cluster.gpus`` of the settings."""
    away = replace(card("away"), remote=RemoteModel(address="grpc://there:8500", name="away"))
    here, there = on_devices((card("pets"), away), ClusterPolicy(gpus=1), device="cpu")

    assert ("cuda", None) == (here.device, there.device)


def test_a_gpu_that_nobody_would_use_is_refused():
    """Two words that contradict each other."""
    with pytest.raises(SettingsError, match="would hold GPUs and not use them"):
        on_devices((replace(card("pets", gpus=1), device="cpu"),), ClusterPolicy(), device="cpu")


@pytest.mark.parametrize(("said", "setting"), [("cuda", "cpu"), (None, "cuda")])
def test_a_gpu_that_nobody_holds_is_refused(said, setting):
    """Ray would give the replica none."""
    with pytest.raises(SettingsError, match="hold no GPU") as refusal:
        on_devices((replace(card("pets"), device=said),), ClusterPolicy(), device=setting)

    assert "gpus = 1" in str(refusal.value.hint)
