"""A model is loaded anew when it is asked for over HTTP."""

from __future__ import annotations

import httpx
import pytest

from tintype.errors import GoldenSetFailed, ModelFileDamaged
from tintype.web.app import create_app
from tintype.web.services import Services


class Keeper:
    """Remembers what it was asked to reload; ``failure`` is raised."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failure: Exception | None = None

    async def reload(self, name: str) -> None:
        """Note the name."""
        self.asked.append(name)
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture
def app(predictor, keeper, limits):
    return create_app(Services(predictor=predictor, keeper=keeper), limits=limits)


async def test_what_is_served_then_is_answered(client, keeper):
    """As by GET."""
    answer = await client.post("/api/models/pets/reload")
    assert (200, ["pets"]) == (answer.status_code, keeper.asked)
    assert (await client.get("/api/models/pets")).json() == answer.json()


@pytest.mark.parametrize(
    ("failure", "status"), [(GoldenSetFailed("1 of 2"), 409), (ModelFileDamaged("half"), 503)]
)
async def test_why_the_old_version_stays_is_answered(client, keeper, failure, status):
    """A problem with the reason."""
    keeper.failure = failure
    answer = await client.post("/api/models/pets/reload")
    assert (status, failure.message) == (answer.status_code, answer.json()["detail"])


async def test_a_model_that_is_not_served_cannot_be_reloaded(client, keeper):
    """Nothing is looked for."""
    answer = await client.post("/api/models/nix/reload")
    assert (404, []) == (answer.status_code, keeper.asked)


async def test_without_a_keeper_nothing_can_be_changed(predictor, limits):
    """A server that is built around models of its own."""
    app = create_app(Services(predictor=predictor), limits=limits)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://tintype.test") as client:
        answer = await client.post("/api/models/pets/reload")
    assert "/problems/model-unavailable" == answer.json()["type"]


async def test_a_reload_is_asked_for_by_post_only(client, keeper):
    """A link that is followed changes nothing."""
    assert 404 == (await client.get("/api/models/pets/reload")).status_code
    assert [] == keeper.asked


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://elsewhere.test"},
        {"origin": "null"},
    ],
)
async def test_a_page_of_another_site_cannot_ask(client, keeper, headers):
    """A bare POST needs no leave of the browser's, and a server without keys asks for none."""
    answer = await client.post("/api/models/pets/reload", headers=headers)
    assert (403, "/problems/foreign-form") == (answer.status_code, answer.json()["type"])
    assert [] == keeper.asked


async def test_this_server_s_own_page_may_ask(client, keeper):
    """As may programs, which say nothing of where they are."""
    headers = {"sec-fetch-site": "same-origin"}
    answer = await client.post("/api/models/pets/reload", headers=headers)
    assert (200, ["pets"]) == (answer.status_code, keeper.asked)
