"""Who answers a picture, and who is still needed."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tintype.models.card import Card
from tintype.models.fake import fake_host
from tintype.models.registry import Registry, Served, share_of


def host(name: str, version: str):
    return fake_host(Card(name=name, file=Path(f"{name}.onnx"), version=version))


STABLE, CANARY = host("pets", "1"), host("pets", "2")


def registry(share: float) -> Registry:
    made = Registry([host("things", "1")])
    made.put(Served(stable=STABLE, canary=CANARY, share=share))
    return made


def test_a_version_is_asked_for_by_number_or_alias():
    """``name@2``, ``name@canary``; a version that is not loaded is nobody."""
    served = registry(share=0)
    assert [STABLE, STABLE, CANARY, CANARY, None, None] == [
        served.choose(f"pets@{asked}", b"") for asked in ("1", "stable", "2", "canary", "3", "")
    ]
    assert served.choose("nix@1", b"") is None


def test_a_name_may_hold_the_sign():
    """A model's own name goes before a version of another."""
    served = registry(share=0)
    odd = host("pets@2", "1")
    served.put(Served(stable=odd))
    assert odd is served.choose("pets@2", b"")


def test_the_canary_answers_its_share_of_the_pictures():
    """The same picture is always answered by the same version."""
    served = registry(share=0.3)
    pictures = [b"picture %d" % number * 50 for number in range(2000)]
    chosen = [served.choose("pets", picture) for picture in pictures]
    assert 0.26 < chosen.count(CANARY) / len(chosen) < 0.34
    assert chosen == [served.choose("pets", picture) for picture in pictures]


def test_no_share_and_the_whole_share():
    """The ends of the range are exact."""
    pictures = [b"%d" % number for number in range(500)]
    assert {STABLE} == {registry(share=0.0).choose("pets", each) for each in pictures}
    assert {CANARY} == {registry(share=1.0).choose("pets", each) for each in pictures}


def test_pictures_that_differ_in_few_places_stand_apart():
    """Also long ones, of which not every byte is looked at."""
    places = {share_of(b"\xff\xd8" + bytes([number]) * 50_000) for number in range(256)}
    assert 256 == len(places)
    assert all(0 <= place < 1 for place in places)


def test_all_models_are_chosen_in_their_order():
    """One version of each."""
    assert ["things", "pets"] == [host.name for host in registry(share=0).choose_all(b"")]


async def test_retiring_waits_for_everybody():
    """Two hold the host; it ends after the second."""
    gone = await host("gone", "1").__aenter__()
    served = Registry()
    with served.holding([gone]):
        with served.holding([gone]):
            task = asyncio.ensure_future(served.retire(gone))
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not task.done()
    await asyncio.wait_for(task, 20)


def test_what_is_told_of_a_model_names_its_versions():
    """Alias, share and health of each."""
    served = registry(share=0.25).served("pets")
    info = served.info(served.stable)
    assert [("1", "stable", 0.75), ("2", "canary", 0.25)] == [
        (each.version, each.alias, each.share) for each in info.versions
    ]
    assert ("1", "2") == (info.version, served.info(served.canary).version)


def test_nothing_served_is_not_ready():
    """A server whose last model went is of no use to a balancer."""
    assert not Registry().ready()
