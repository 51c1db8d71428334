"""A tuned model served: over HTTP, in this process, with the graph that NNCF made."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import tintype
from tintype.cli.app import build_app
from tintype.imaging.limits import DecodeLimits
from tintype.models.library import find_cards
from tintype.models.plan import plan_model
from tintype.settings import Settings, read_settings
from tintype.tuning.asking import Pictures
from tintype.tuning.candidates import Candidate
from tintype.tuning.card_file import place_of, write_choice
from tintype.tuning.quantise import quantise
from tintype.web.app import create_app
from tintype.web.uploads import UploadLimits
from tintype.wiring.plans import make_plans
from tintype.wiring.running import running

DEMO = Path(tintype.__file__).parent / "demo"
CAT = DEMO / "pictures/cat.jpg"


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cats and dogs in int8, calibrated on noise and the demo's pictures."""
    folder = tmp_path_factory.mktemp("tuned")
    model = Path(shutil.copytree(DEMO / "models/cats-dogs", folder / "pets"))
    pictures = [*sorted((DEMO / "pictures").glob("*.jpg"))]
    rng = np.random.default_rng(0)
    for number in range(4):
        pictures.append(folder / f"{number}.png")
        Image.fromarray(rng.integers(0, 256, (90, 90, 3), dtype=np.uint8)).save(pictures[-1])
    (card,) = find_cards((model,))
    plan = plan_model(card)
    row_of = Pictures(plan=plan, read=Path.read_bytes, limits=DecodeLimits()).row
    graph = folder / "model.int8.xml"
    quantise(plan.description.graph, pictures, row_of=row_of, out=graph)
    write_choice(
        place_of(card, out=None),
        plan,
        Candidate(precision="int8", streams=2),
        graph=graph,
        evidence={"date": "2026-01-31"},
    )
    return model


async def asked(model: Path, settings: Settings, tmp_path: Path) -> tuple[dict, dict]:
    """What is told of the model, and of a cat."""
    find = partial(find_cards, (model,))
    plans = await make_plans(find(), left_out=pytest.fail)
    environment = {"TINTYPE_STATE_FOLDER": str(tmp_path)}
    settings = read_settings(environment=environment) if settings is None else settings
    async with running(plans, settings=settings, left_out=pytest.fail) as services:
        app = create_app(services, limits=UploadLimits())
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            (info,) = (await client.get("/api/models")).json()["models"]
            answer = await client.post("/api/predict", content=CAT.read_bytes())
            return info, answer.json()["results"][0]


async def test_the_server_answers_in_int8_and_says_so(pets: Path, tmp_path: Path):
    """With nearly the scores of f32, and not quite: it is another graph."""
    plain = read_settings(environment={"TINTYPE_ENGINE_TUNED": "false"})
    info, told = await asked(pets, Settings(), tmp_path)
    as_before, expected = await asked(pets, plain, tmp_path)
    assert ("int8", "f32") == (info["precision"], as_before["precision"])
    assert "cat" == told["labels"][0]["label"]
    score, other = (each["labels"][0]["score"] for each in (told, expected))
    assert other == pytest.approx(score, abs=0.2)
    assert other != score


async def test_a_model_file_that_changed_is_served_in_f32_with_a_remark(pets: Path, tmp_path: Path):
    """The answers are those of the new file, not of a graph made of the old one."""
    model = Path(shutil.copytree(pets, tmp_path / "pets"))
    file = model / "model.keras"
    with file.open("ab") as archive:  # a ZIP archive may have more behind it
        archive.write(b"\0")
    info, told = await asked(model, Settings(), tmp_path)
    assert "f32" == info["precision"]
    assert any("has changed since it was tuned" in warning for warning in info["warnings"])
    assert "cat" == told["labels"][0]["label"]


def test_inspect_tells_how_it_was_tuned(pets: Path):
    """In words and as JSON, before anything is loaded."""
    runner = CliRunner()
    words = runner.invoke(build_app("inspect"), ["inspect", str(pets)]).stdout
    told = json.loads(runner.invoke(build_app("inspect"), ["inspect", str(pets), "--json"]).stdout)
    assert "  tuned   int8, 2 streams on all cores, found 2026-01-31" in words
    assert "int8" == told["precision"]
    assert (2, "model.int8.xml") == (told["tuned"]["streams"], told["tuned"]["graph"])
