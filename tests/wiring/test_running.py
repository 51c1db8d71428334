"""Which models are served when some of them cannot be."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

import tintype
from tintype.engines.engine import EngineOptions
from tintype.errors import InputNotAllowed, ModelFileDamaged, ModelFileError, SettingsError
from tintype.models.library import find_cards
from tintype.predict import PredictRequest
from tintype.settings import Settings, read_settings
from tintype.types import Graph, Point
from tintype.web.app import create_app
from tintype.web.inputs import InputPolicy
from tintype.web.scrape import MetricsPage
from tintype.web.uploads import NamedPicture, UploadLimits
from tintype.wiring.plans import LeftOut, make_plans
from tintype.wiring.running import running

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


def _graphs() -> list[Graph]:
    gc.collect()
    return [each for each in gc.get_objects() if isinstance(each, Graph)]


async def test_the_bytes_of_a_graph_are_let_go_once_it_is_loaded():
    """A served model has its weights in its engine, and not once more as a file in memory."""
    others = _graphs()  # of other tests
    async with running(
        await make_plans(find_cards((COLOURS,)), left_out=pytest.fail),
        settings=Settings(),
        left_out=pytest.fail,
    ):
        graphs = [each for each in _graphs() if not any(each is other for other in others)]
    assert [] == [each.name for graph in graphs if graph.source for each in graph.outputs]


async def test_pictures_by_path_are_wired(folder: Path):
    """A folder in the settings makes its files pictures that can be named."""
    (folder / "half.keras").unlink()
    plans = await make_plans(find_cards((folder,)), left_out=pytest.fail)
    settings = Settings(inputs=InputPolicy(paths=(str(folder),)))
    named = NamedPicture(kind="path", text="good.keras")
    async with running(plans, settings=settings, left_out=pytest.fail) as services:
        data = await services.inputs.read(named, limit=1 << 20, count=lambda _size: None)
    assert COLOURS.read_bytes() == data


async def test_threads_that_decode_stand_back_as_the_engine_s_do(picture: bytes):
    """Those that read and answer have the processor first; others than Linux have one for all."""
    plans = await make_plans(find_cards((COLOURS,)), left_out=pytest.fail)
    points = (Point(x=1, y=1), Point(x=9, y=9))  # of several, no engine's thread makes the rows
    async with running(plans, settings=Settings(), left_out=pytest.fail) as services:
        await services.predictor.predict(PredictRequest(image=picture, points=points))
        decoding = [
            os.getpriority(os.PRIO_PROCESS, thread.native_id)
            for thread in threading.enumerate()
            if thread.name.startswith("pictures") and thread.native_id
        ]
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert [own + EngineOptions().nice] == decoding


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


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    """A sound version, and a higher one that is cut short."""
    whole = COLOURS.read_bytes()
    for number, data in (("1", whole), ("2", whole[: len(whole) // 2])):
        (tmp_path / "pets" / number).mkdir(parents=True)
        (tmp_path / "pets" / number / "model.keras").write_bytes(data)
    return tmp_path


async def test_a_version_that_cannot_be_read_leaves_its_place_to_the_one_before(versions: Path):
    """And that is said."""
    told: list[LeftOut] = []
    plans = await make_plans(find_cards((versions,)), left_out=told.append)
    assert [("pets", "1")] == [(plan.card.name, plan.card.version) for plan in plans]
    assert ["2"] == [left.card.version for left in told]


async def test_a_version_that_is_named_stops_the_start(versions: Path):
    """The card says stable: that one is meant."""
    (versions / "pets/model.toml").write_text('[versions]\nstable = "2"\n')
    with pytest.raises(ModelFileError):
        await make_plans(find_cards((versions,)), left_out=pytest.fail)


async def test_a_version_that_fails_its_golden_set_leaves_its_place(versions: Path):
    """At the start too: what was refused before must not come in by a restart."""
    whole = (versions / "pets/1/model.keras").read_bytes()
    (versions / "pets/2/model.keras").write_bytes(whole)
    golden = "[golden]\npictures = 'golden'\n"
    (versions / "pets/2/model.toml").write_text(golden)
    (versions / "pets/2/golden/nothing of that name").mkdir(parents=True)
    (versions / "pets/2/golden/nothing of that name/one.png").write_bytes(b"")
    told: list[LeftOut] = []
    plans = await make_plans(find_cards((versions,)), left_out=pytest.fail)
    async with running(plans, settings=Settings(), left_out=told.append) as services:
        served = [info.version for info in services.predictor.models()]
    assert (["1"], ["2"]) == (served, [left.card.version for left in told])


async def test_a_server_follows_its_folder_and_counts(versions: Path):
    """With something to look for models with: metrics, a keeper, and a new version."""
    find = partial(find_cards, (versions,))
    settings = read_settings(
        environment={"TINTYPE_MODELS_POLL_SECONDS": "0", "TINTYPE_RECORD_ENABLED": "off"}
    )
    plans = await make_plans(find(), left_out=lambda _: None)
    async with running(plans, settings=settings, left_out=pytest.fail, find=find) as services:
        shutil.copytree(versions / "pets/1", versions / "pets/3")
        await services.keeper.reload("pets")
        assert "3" == services.predictor.model("pets").version
        page = MetricsPage(services.metrics).written(accept="")[0].decode()
    assert 'tintype_model_ready{model="pets",version="3"} 1.0' in page
    assert 'tintype_model_changes_total{change="loaded",model="pets"} 2.0' in page


async def test_what_a_canary_in_the_shadow_says_otherwise_is_recorded(
    tmp_path: Path, picture: bytes
):
    """Through shadow, queue and database, and back with the prediction."""
    card = '[versions]\nstable = "1"\ncanary = "2"\nshadow = true\n'
    for number, labels in (("1", "stable"), ("2", "canary")):
        (tmp_path / "pets" / number).mkdir(parents=True)
        shutil.copy(COLOURS, tmp_path / "pets" / number / "model.keras")
        names = "\n".join(f"{labels} {index}" for index in range(18))
        (tmp_path / "pets" / number / "labels.txt").write_text(names)
    (tmp_path / "pets/model.toml").write_text(card)
    find = partial(find_cards, (tmp_path,))
    settings = read_settings(
        environment={
            "TINTYPE_STATE_FOLDER": str(tmp_path / "state"),
            "TINTYPE_PICTURES_KEEP": "true",
        }
    )
    plans = await make_plans(find(), left_out=pytest.fail)
    async with running(plans, settings=settings, left_out=pytest.fail, find=find) as services:
        await services.keeper.reload("pets")
        told = await services.predictor.predict(PredictRequest(image=picture))
        async with asyncio.timeout(20):
            while (  # noqa: ASYNC110 - the shadow tells nobody
                result := (await services.record.find(told.id)).results[0]
            ).canary is None:
                await asyncio.sleep(0.01)
        page = MetricsPage(services.metrics).written(accept="")[0].decode()
    assert "tintype_kept_pictures_dropped_total 0.0" in page
    assert ("1", "2") == (result.version, result.canary.version)
    assert result.canary.labels[0].label == result.labels[0].label.replace("stable", "canary")


def said(page: str) -> dict[tuple[str, ...], float]:
    """What people said, by metric and labels in the order of their names."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page)
        if family.name in {"tintype_feedback", "tintype_accuracy_ratio"}
        for sample in family.samples
    }


async def told_in_the_end(client: httpx.AsyncClient) -> dict[tuple[str, ...], float]:
    """Scrape until the record was counted: a scrape does not wait for it."""
    async with asyncio.timeout(20):
        while not (  # noqa: ASYNC110 - a page tells nobody that it changed
            told := said((await client.get("/metrics")).text)
        ):
            await asyncio.sleep(0.01)
    return told


async def test_what_people_said_is_told_to_prometheus(versions: Path, picture: bytes):
    """Two right, one wrong; and nothing any more of a version that has gone."""
    shutil.rmtree(versions / "pets/2")
    find = partial(find_cards, (versions,))
    settings = read_settings(
        environment={
            "TINTYPE_STATE_FOLDER": str(versions / "state"),
            "TINTYPE_MODELS_POLL_SECONDS": "0",
        }
    )
    plans = await make_plans(find(), left_out=pytest.fail)
    async with running(plans, settings=settings, left_out=pytest.fail, find=find) as services:
        app = create_app(services, limits=UploadLimits())
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://tintype.test") as client:
            for right in (True, True, False):
                asked = await client.post("/api/predict", content=picture)
                path = f"/api/predictions/{asked.json()['id']}/feedback"
                assert 200 == (await client.put(path, json={"correct": right})).status_code
            told = await told_in_the_end(client)
            shutil.copytree(versions / "pets/1", versions / "pets/3")
            await services.keeper.reload("pets")
            after = said((await client.get("/metrics")).text)
    assert {
        ("tintype_feedback", "pets", "right", "1"): 2,
        ("tintype_feedback", "pets", "wrong", "1"): 1,
        ("tintype_accuracy_ratio", "pets", "1"): pytest.approx(2 / 3),
    } == told
    assert {} == after


async def test_how_often_redis_did_not_answer_is_counted(folder: Path):
    """Where limits are shared; a Redis that is away stops no start."""
    find = partial(find_cards, (folder / "good.keras",))
    settings = read_settings(
        environment={
            "TINTYPE_LIMITS_ADDRESS_PER_MINUTE": "5",
            "TINTYPE_LIMITS_REDIS": "redis://127.0.0.1:1/0",
            "TINTYPE_RECORD_ENABLED": "off",
            "TINTYPE_STATE_FOLDER": str(folder / "state"),
        }
    )
    plans = await make_plans(find_cards((folder / "good.keras",)), left_out=pytest.fail)
    async with running(plans, settings=settings, left_out=pytest.fail, find=find) as services:
        await services.door.take(None, "203.0.113.9")
        page = MetricsPage(services.metrics).written(accept="")[0].decode()
    assert "tintype_redis_failures_total 1.0" in page
