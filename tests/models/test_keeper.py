"""What is served follows what lies in the folders, and nothing that fails changes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from tintype.errors import ModelFileDamaged, ModelFileError, TintypeError, UnknownModel
from tintype.models.card import Card
from tintype.models.fake import DAMAGED, load_fake, put_fake_model
from tintype.models.host import ModelHost
from tintype.models.info import Health
from tintype.models.keeper import Keeper, WatchPolicy
from tintype.models.library import find_cards
from tintype.models.registry import Registry, Served


class Notes:
    """ModelEvents that are remembered."""

    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []
        self.removals = asyncio.Semaphore(0)

    def loaded(self, host: ModelHost, *, seconds: float) -> None:
        """Note a version."""
        assert seconds >= 0
        self.told.append(("loaded", host.name, host.version))

    def refused(self, name: str, error: TintypeError) -> None:
        """Note why not."""
        self.told.append(("refused", name, error.type))

    def removed(self, host: ModelHost) -> None:
        """Note it, and let who waits go on."""
        self.told.append(("removed", host.name, host.version))
        self.removals.release()


class Kept:
    """A keeper over a folder, looked at by hand."""

    def __init__(self, keeper: Keeper, registry: Registry, notes: Notes) -> None:
        self.keeper, self.registry, self.notes = keeper, registry, notes

    async def look_twice(self) -> None:
        """A change is acted on when two looks saw it."""
        await self.keeper.look_now()
        await self.keeper.look_now()

    def versions(self) -> dict[str, tuple[str, ...]]:
        """What is served: name to versions, the stable one first."""
        return {
            each.name: tuple(host.version for host in each.hosts()) for each in self.registry.all()
        }


@asynccontextmanager
async def kept(folder: Path) -> AsyncIterator[Kept]:
    """What lies there is served, as after a start."""
    notes, find = Notes(), partial(find_cards, (folder,))
    async with Registry() as registry:
        for card in find():
            registry.put(Served(stable=await load_fake(card)))
        keeper = Keeper(
            registry, find=find, load=load_fake, policy=WatchPolicy(poll_seconds=0), events=(notes,)
        )
        async with keeper:
            yield Kept(keeper, registry, notes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One model with one version."""
    put_fake_model(tmp_path / "pets/1/m.tflite")
    return tmp_path


async def test_what_did_not_change_is_left_alone(folder):
    """Looking costs nobody anything."""
    async with kept(folder) as now:
        await now.look_twice()
        assert {"pets": ("1",)} == now.versions()
    assert [] == now.notes.told


async def test_a_new_version_takes_the_place_of_the_old(folder):
    """The highest number is stable; the old one ends."""
    async with kept(folder) as now:
        old = now.registry.served("pets").stable
        put_fake_model(folder / "pets/2/m.tflite")
        await now.look_twice()
        assert {"pets": ("2",)} == now.versions()
        await now.notes.removals.acquire()
        assert Health.DRAINING is old.health
    assert [("loaded", "pets", "2"), ("removed", "pets", "1")] == now.notes.told


async def test_a_file_that_still_grows_is_not_taken(folder):
    """Only when two looks in turn saw the same."""
    async with kept(folder) as now:
        await now.keeper.look_now()
        for size in range(1, 4):
            put_fake_model(folder / "pets/2/m.tflite", bytes(size))
            await now.keeper.look_now()
            assert {"pets": ("1",)} == now.versions()
        await now.keeper.look_now()
        assert {"pets": ("2",)} == now.versions()


async def test_a_version_that_fails_changes_nothing(folder):
    """The old one answers, the reason is told, and it is not tried again until it changes."""
    async with kept(folder) as now:
        put_fake_model(folder / "pets/2/m.tflite", DAMAGED)
        await now.look_twice()
        await now.look_twice()
        assert {"pets": ("1",)} == now.versions()
        served = now.registry.served("pets")
        assert "m.tflite is damaged" == served.info(served.stable).refused
        assert [("refused", "pets", "model-file-damaged")] == now.notes.told
        put_fake_model(folder / "pets/2/m.tflite", b"mended")
        await now.look_twice()
        served = now.registry.served("pets")
        assert ("2", "") == (served.stable.version, served.refused)


async def test_a_picture_at_work_keeps_its_version_loaded(folder):
    """The old version ends only when it is let go."""
    async with kept(folder) as now:
        old = now.registry.served("pets").stable
        with now.registry.holding([old]):
            put_fake_model(folder / "pets/2/m.tflite")
            await now.look_twice()
            assert ({"pets": ("2",)}, Health.READY) == (now.versions(), old.health)
        await now.notes.removals.acquire()
        assert Health.DRAINING is old.health


async def test_models_come_and_go(folder):
    """A folder that is added is served, one that is removed drains."""
    async with kept(folder) as now:
        put_fake_model(folder / "things/model.tflite")
        await now.look_twice()
        assert {"pets", "things"} == set(now.versions())
        (folder / "things/model.tflite").unlink()
        await now.look_twice()
        assert {"pets"} == set(now.versions())


async def test_a_folder_that_becomes_empty_loses_no_model(folder):
    """A disk that is not mounted looks like that."""
    async with kept(folder) as now:
        (folder / "pets").rename(folder.parent / "elsewhere")
        await now.look_twice()
        await now.look_twice()
        assert {"pets": ("1",)} == now.versions()
        assert "no model found" in now.registry.served("pets").refused


async def test_a_card_that_cannot_be_read_changes_nothing(folder):
    """It is said on the model, and other models are followed all the same."""
    async with kept(folder) as now:
        (folder / "pets/model.toml").write_text("nonsense")
        put_fake_model(folder / "things/model.tflite")
        await now.look_twice()
        assert {"pets": ("1",), "things": ("1",)} == now.versions()
        told = now.registry.served("pets").refused
        assert "model.toml is no TOML" in told
        assert str(folder) not in told


async def test_a_canary_is_loaded_beside_the_stable_version(folder):
    """With the share and the shadow of the card; changing these loads nothing."""
    async with kept(folder) as now:
        put_fake_model(folder / "pets/2/m.tflite")
        card = folder / "pets/model.toml"
        card.write_text('[versions]\nstable = "1"\ncanary = "2"\nshare = 0.1\n')
        await now.look_twice()
        served = now.registry.served("pets")
        assert ({"pets": ("1", "2")}, 0.1, False) == (now.versions(), served.share, served.shadow)
        card.write_text('[versions]\nstable = "1"\ncanary = "2"\nshare = 0.5\nshadow = true\n')
        await now.look_twice()
        served = now.registry.served("pets")
        assert (0.5, True) == (served.share, served.shadow)
    assert [("loaded", "pets", "2")] == [told for told in now.notes.told if told[0] == "loaded"]


async def test_a_canary_becomes_stable_without_being_loaded_again(folder):
    """It is there already, and warm."""
    async with kept(folder) as now:
        put_fake_model(folder / "pets/2/m.tflite")
        card = folder / "pets/model.toml"
        card.write_text('[versions]\nstable = "1"\ncanary = "2"\n')
        await now.look_twice()
        canary = now.registry.served("pets").canary
        card.write_text('[versions]\nstable = "2"\n')
        await now.look_twice()
        assert canary is now.registry.served("pets").stable
        await now.notes.removals.acquire()
    assert [("loaded", "pets", "2"), ("removed", "pets", "1")] == now.notes.told


async def test_a_canary_that_fails_leaves_the_stable_version(folder):
    """And the reason is told."""
    async with kept(folder) as now:
        put_fake_model(folder / "pets/2/m.tflite", DAMAGED)
        (folder / "pets/model.toml").write_text('[versions]\nstable = "1"\ncanary = "2"\n')
        await now.look_twice()
        assert {"pets": ("1",)} == now.versions()
        assert "damaged" in now.registry.served("pets").refused


async def test_a_model_is_loaded_anew_when_asked(folder):
    """Also when nothing changed; the settling is waited for."""
    async with kept(folder) as now:
        old = now.registry.served("pets").stable
        await now.keeper.reload("pets")
        assert old is not now.registry.served("pets").stable
        with pytest.raises(UnknownModel):
            await now.keeper.reload("nix")


async def test_why_a_reload_fails_is_raised(folder):
    """The old version stays."""
    async with kept(folder) as now:
        put_fake_model(folder / "pets/1/m.tflite", DAMAGED)
        with pytest.raises(ModelFileDamaged):
            await now.keeper.reload("pets")
        assert {"pets": ("1",)} == now.versions()
        (folder / "pets/model.toml").write_text("nonsense")
        with pytest.raises(ModelFileError, match="is no TOML"):
            await now.keeper.reload("pets")


async def test_a_fault_in_loading_does_not_end_the_watch(folder):
    """What nobody foresaw is a refusal like any other."""

    async def broken(card: Card) -> ModelHost:
        raise RuntimeError(f"no idea about {card.name}")

    async with kept(folder) as now:
        now.keeper._load_card = broken
        put_fake_model(folder / "pets/2/m.tflite")
        await now.look_twice()
        assert {"pets": ("1",)} == now.versions()
        assert "RuntimeError" in now.registry.served("pets").refused


async def test_the_watch_looks_by_itself(folder):
    """Every so many seconds."""
    async with kept(folder) as now:
        watching = Keeper(
            now.registry,
            find=partial(find_cards, (folder,)),
            load=load_fake,
            policy=WatchPolicy(poll_seconds=0.01),
            events=(now.notes,),
        )
        async with watching:
            put_fake_model(folder / "pets/2/m.tflite")
            await asyncio.wait_for(now.notes.removals.acquire(), 20)
        assert {"pets": ("2",)} == now.versions()
