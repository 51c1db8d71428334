"""Which models are served when some of them cannot be."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import tintype
from tintype.errors import InputNotAllowed, ModelFileDamaged, ModelFileError, SettingsError
from tintype.models.library import find_cards
from tintype.predict import PredictRequest
from tintype.settings import Settings
from tintype.web.inputs import InputPolicy
from tintype.web.uploads import NamedPicture
from tintype.wiring import LeftOut, make_plans, running

COLOURS = Path(tintype.__file__).parent / "demo/models/colours/model.keras"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound model and one that is cut short."""
    whole = COLOURS.read_bytes()
    (tmp_path / "good.keras").write_bytes(whole)
    (tmp_path / "half.keras").write_bytes(whole[: len(whole) // 2])
    return tmp_path


@pytest.fixture
def picture() -> bytes:
    """One of the demo's."""
    return (Path(tintype.__file__).parent / "demo/pictures/colours.png").read_bytes()


async def test_a_damaged_file_in_a_folder_stops_no_other(folder: Path):
    """The sound one is planned, the other told with its path."""
    told: list[LeftOut] = []
    plans = await make_plans(find_cards((folder,)), left_out=told.append)
    assert ["good"] == [plan.card.name for plan in plans]
    assert ["half.keras"] == [left.card.file.name for left in told]
    assert "half.keras" in told[0].error.message


async def test_a_damaged_file_that_is_named_stops_the_start(folder: Path):
    """Who names a file wants it served."""
    cards = find_cards((folder / "good.keras", folder / "half.keras"))
    with pytest.raises(ModelFileDamaged, match=r"half\.keras"):
        await make_plans(cards, left_out=pytest.fail)


async def test_a_damaged_file_that_a_card_names_stops_the_start(folder: Path):
    """A card is a promise."""
    (folder / "pets").mkdir()
    (folder / "half.keras").rename(folder / "pets/half.keras")
    (folder / "pets/model.toml").write_text('file = "half.keras"')
    with pytest.raises(ModelFileDamaged):
        await make_plans(find_cards((folder,)), left_out=pytest.fail)


async def test_a_folder_with_nothing_to_serve_is_an_error(folder: Path):
    """The reason is that of the file that was left."""
    (folder / "good.keras").unlink()
    with pytest.raises(ModelFileError, match=r"half\.keras"):
        await make_plans(find_cards((folder,)), left_out=pytest.fail)


async def test_a_found_model_that_does_not_load_stops_no_other(folder: Path):
    """What only the engine refuses is left out too."""
    (folder / "half.keras").unlink()
    (good,) = await make_plans(find_cards((folder,)), left_out=pytest.fail)
    graph = replace(good.description.graph, source=b"no graph")
    card = replace(good.card, name="bad", file=folder / "bad.keras")
    bad = replace(good, card=card, description=replace(good.description, graph=graph))
    told: list[LeftOut] = []
    async with running((bad, good), settings=Settings(), left_out=told.append) as services:
        names = [info.name for info in services.predictor.models()]
    assert ["good"] == names
    assert "bad.keras" in told[0].error.message


async def test_pictures_by_path_are_wired(folder: Path):
    """A folder in the settings makes its files pictures that can be named."""
    (folder / "half.keras").unlink()
    plans = await make_plans(find_cards((folder,)), left_out=pytest.fail)
    settings = Settings(inputs=InputPolicy(paths=(str(folder),)))
    named = NamedPicture(kind="path", text="good.keras")
    async with running(plans, settings=settings, left_out=pytest.fail) as services:
        data = await services.inputs.read(named, limit=1 << 20, count=lambda _size: None)
    assert COLOURS.read_bytes() == data


@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "[::1]"])
async def test_pictures_by_url_are_wired_with_the_guard(folder: Path, host: str):
    """Switched on, this machine and its neighbours still are out of reach."""
    (folder / "half.keras").unlink()
    plans = await make_plans(find_cards((folder,)), left_out=pytest.fail)
    settings = Settings(inputs=InputPolicy(urls=True))
    named = NamedPicture(kind="url", text=f"https://{host}/cat.jpg")
    async with running(plans, settings=settings, left_out=pytest.fail) as services:
        with pytest.raises(InputNotAllowed, match="not on the public internet"):
            await services.inputs.read(named, limit=1 << 20, count=lambda _size: None)


@pytest.mark.parametrize(
    "policy",
    [
        InputPolicy(paths=("/nix/da",)),
        InputPolicy(urls=True, url_schemes=("ftp",)),
        InputPolicy(urls=True, url_schemes=()),
        InputPolicy(urls=True, url_ports=("https",)),
        InputPolicy(urls=True, url_ports=("0", "443")),
        InputPolicy(urls=True, url_ports=("70000",)),
    ],
)
async def test_a_policy_that_cannot_hold_stops_the_start(policy: InputPolicy):
    """Told before any model is loaded, with the setting's name."""
    settings = Settings(inputs=policy)
    with pytest.raises(SettingsError, match=r"inputs\.(paths|url_schemes|url_ports)"):
        async with running((), settings=settings, left_out=pytest.fail):
            pass


async def test_a_broken_model_whose_card_has_a_fallback_stops_nothing(folder: Path, picture: bytes):
    """Its owner said what to tell in its place, and that is told with its error."""
    (folder / "themes").mkdir()
    (folder / "half.keras").rename(folder / "themes/half.keras")
    (folder / "themes/model.toml").write_text('file = "half.keras"\nfallback = ["beach"]')
    absent: list[LeftOut] = []
    plans = await make_plans(find_cards((folder,)), left_out=absent.append)
    async with running(
        plans, settings=Settings(), left_out=pytest.fail, absent=tuple(absent)
    ) as services:
        prediction = await services.predictor.predict(PredictRequest(image=picture))
    good, themes = prediction.results
    assert ("good", None) == (good.model, good.error)
    assert ("themes", "model-unavailable", "beach", True) == (
        themes.model,
        themes.error.type,
        themes.labels[0].label,
        themes.fallback,
    )
    assert str(folder) not in themes.error.detail


async def test_a_folder_of_models_is_loaded_at_start_and_never_again(folder: Path, picture: bytes):
    """The files are gone when the picture comes."""
    (folder / "half.keras").write_bytes(COLOURS.read_bytes())
    plans = await make_plans(find_cards((folder,)), left_out=pytest.fail)
    async with running(plans, settings=Settings(), left_out=pytest.fail) as services:
        shutil.rmtree(folder)
        prediction = await services.predictor.predict(PredictRequest(image=picture))
    assert [("good", None), ("half", None)] == [
        (result.model, result.error) for result in prediction.results
    ]
