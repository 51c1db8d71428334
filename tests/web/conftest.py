"""The application around a fake predictor, with small limits and no network."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import structlog
from PIL import Image

from tintype.metrics import Metrics
from tintype.record.policy import RecordPolicy
from tintype.record.recorder import Recorder
from tintype.record.values import ModelFacts
from tintype.web.app import create_app
from tintype.web.fake import FakePredictor
from tintype.web.services import Services
from tintype.web.uploads import UploadLimits


@pytest.fixture(scope="session")
def limits() -> UploadLimits:
    """Small, so that tests above them stay fast."""
    return UploadLimits(max_body_bytes=256 << 10, max_images=4, max_points=8)


@pytest.fixture(scope="session")
def png() -> bytes:
    """A small real picture, 64 x 48."""
    file = io.BytesIO()
    Image.linear_gradient("L").resize((64, 48)).convert("RGB").save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def predictor() -> FakePredictor:
    return FakePredictor()


@pytest.fixture
def record(tmp_path):
    """A running record that knows the fake predictor's models."""
    facts = [
        ModelFacts(
            name=info.name,
            version=info.version,
            task=info.task,
            path=tmp_path / info.file,
            recipe="{}",
            labels=info.labels,
        )
        for info in FakePredictor().models()
    ]
    with Recorder(tmp_path / "record.db", state=tmp_path, policy=RecordPolicy()) as record:
        record.know(facts)
        yield record


@pytest.fixture(autouse=True)
def logs() -> Iterator[list]:
    """What was logged, instead of writing it."""
    with structlog.testing.capture_logs() as entries:
        yield entries


@pytest.fixture
def app(predictor, limits, png, tmp_path):
    """The application, with one sample picture ``red-dog.png``."""
    sample = tmp_path / "red-dog.png"
    sample.write_bytes(png)
    services = Services(predictor=predictor, metrics=Metrics())
    return create_app(services, limits=limits, samples=(sample,))


@pytest.fixture
async def client(app) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, without a network."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://tintype.test") as client:
        yield client
