"""The server keeps to its own OpenAPI document, whatever is asked (schemathesis)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import hypothesis
import schemathesis
from schemathesis import checks

from tintype.access.door import AccessPolicy, Door, LimitPolicy
from tintype.access.keyring import Keyring
from tintype.access.keys import Key, Scope, digest_of, id_of, new_text
from tintype.access.limits import MemoryLimiter
from tintype.access.store import KeyStore
from tintype.metrics import Metrics
from tintype.web.app import create_app
from tintype.web.application import Application
from tintype.web.fake import FakePredictor
from tintype.web.services import Services
from tintype.web.uploads import UploadLimits

LIMITS = UploadLimits(max_body_bytes=64 << 10)
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
    checks.unsupported_method,
]
FEW = hypothesis.settings(
    max_examples=25, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
)


def app_with(door: Door | None):
    services = Services(predictor=FakePredictor(), metrics=Metrics(), door=door)
    return create_app(services, limits=LIMITS)


def check_all(app: Application, **asked: object) -> None:
    """Ask every operation of the application's document in many ways."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert operations

    for operation in operations:

        @FEW
        @hypothesis.given(case=operation.as_strategy())
        def keeps_to_its_document(case: schemathesis.Case) -> None:
            case.call_and_validate(checks=CHECKS, **asked)

        keeps_to_its_document()


def door_of(folder: Path, key: str) -> Door:
    """A door with one key that may do everything."""
    store = KeyStore(folder)
    scopes, digest = frozenset(Scope), digest_of(key.encode())
    store.add(Key(id=id_of(key.encode()), name="ann", digest=digest, scopes=scopes))
    keyring = Keyring(store, session_seconds=60)
    asyncio.run(keyring.sync())
    return Door(keyring, policy=AccessPolicy(), limits=LimitPolicy(), limiter=MemoryLimiter())


def test_it_keeps_to_its_document():
    """Statuses, types and bodies are those that are told; none is a 500."""
    check_all(app_with(None))


def test_it_keeps_to_its_document_with_a_key(tmp_path):
    """The same for who has a key."""
    key = new_text()
    check_all(app_with(door_of(tmp_path, key)), headers={"X-API-Key": key})


def test_it_keeps_to_its_document_without_a_key(tmp_path):
    """And for who has none, or sends something else as one."""
    check_all(app_with(door_of(tmp_path, new_text())))
