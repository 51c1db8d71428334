from __future__ import annotations

import subprocess
import sys

import pytest

PATHS = ["/", "/docs", "/openapi.json", "/live", "/ready", "/api/models", "/static/app.js", "/nix"]


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_is_safe_in_a_browser(client, path):
    """A strict policy on every answer, errors too: nothing from elsewhere, nothing inline."""
    headers = (await client.get(path)).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert ("'none'", "'self'", "'self'") == (
        policy["default-src"],
        policy["script-src"],
        policy["style-src"],
    )
    assert ("'none'", "'none'") == (policy["base-uri"], policy["frame-ancestors"])
    assert "nosniff" == headers["x-content-type-options"]
    assert "same-origin" == headers["referrer-policy"]
    assert "camera=(self)" in headers["permissions-policy"]
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("path", PATHS)
async def test_nothing_is_loaded_from_elsewhere(client, path):
    """No address of another server is in any page, style or script."""
    text = (await client.get(path)).text
    if path != "/docs":
        text = text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in text
    assert " style=" not in text
    assert "<script>" not in text


async def test_a_request_keeps_the_id_it_came_with(client):
    """A plain word is kept; anything else gets a new id."""
    kept = await client.get("/live", headers={"x-request-id": "abc-1.2_3"})
    other = await client.get("/live", headers={"x-request-id": "a b\t<script>"})
    assert "abc-1.2_3" == kept.headers["x-request-id"]
    assert 32 == len(other.headers["x-request-id"])


async def test_unknown_addresses_and_wrong_methods_are_problems(client):
    """They have the same shape as every other error."""
    lost = await client.get("/nix/../../etc/passwd")
    wrong = await client.delete("/api/predict")
    assert (404, "/problems/not-found") == (lost.status_code, lost.json()["type"])
    assert (405, "/problems/method-not-allowed") == (wrong.status_code, wrong.json()["type"])
    assert "POST" in wrong.headers["allow"]
    assert "application/problem+json" == wrong.headers["content-type"]


@pytest.mark.parametrize("path", ["/", "/live", "/api/models", "/static/app.js"])
async def test_head_is_get_without_a_body(client, path):
    """So that curl -I works; the server leaves the body out."""
    assert 200 == (await client.head(path)).status_code


async def test_live_is_live_and_ready_waits_for_the_models(client, predictor):
    """A process that still loads its models lives, and is not ready."""
    predictor.is_ready = False
    assert 200 == (await client.get("/live")).status_code
    waiting = await client.get("/ready")
    assert (503, "1") == (waiting.status_code, waiting.headers["retry-after"])
    assert {"pets": "ready", "things": "ready"} == waiting.json()["models"]
    predictor.is_ready = True
    assert 200 == (await client.get("/ready")).status_code


async def test_files_are_not_sent_again_when_nothing_changed(client):
    """A tag that changes with the bytes; 304 when the client has them."""
    first = await client.get("/static/app.js")
    again = await client.get("/static/app.js", headers={"if-none-match": first.headers["etag"]})
    assert (200, "text/javascript; charset=utf-8") == (
        first.status_code,
        first.headers["content-type"],
    )
    assert (304, b"") == (again.status_code, again.content)


@pytest.mark.parametrize("name", ["nix.js", "../app.py", "..%2Fapp.py", "%2e%2e/app.py", "a%00.js"])
@pytest.mark.parametrize("folder", ["static", "samples"])
async def test_nothing_but_the_known_files_is_served(client, folder, name):
    """Names are looked up in a table, never on disk."""
    assert 404 == (await client.get(f"/{folder}/{name}")).status_code


async def test_samples_are_served_as_pictures(client, png):
    """The pictures that the application was given, by name."""
    answer = await client.get("/samples/red-dog.png")
    assert (png, "image/png") == (answer.content, answer.headers["content-type"])


async def test_a_request_is_one_line_in_the_log(client, png, logs):
    """Method, path without its query, status, duration and id; nothing for health and files."""
    await client.post("/api/predict?x=1&y=1", content=png, headers={"x-request-id": "me"})
    await client.get("/live")
    await client.get("/static/app.js")
    (line,) = logs
    assert ("request", "POST", "/api/predict", 200, "me") == tuple(
        line[key] for key in ("event", "method", "path", "status", "request_id")
    )


def test_importing_the_application_loads_no_engine_and_no_templates():
    """The server must be ready fast: what is heavy or not needed at start is imported later."""
    code = "import sys, tintype.web.app; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert set() == loaded & {
        "jinja2",
        "openvino",
        "onnx",
        "onnxruntime",
        "ai_edge_litert",
        "h5py",
        "tensorflow",
        "uvicorn",
        "h11",
        "httpx",
        "polyfactory",
    }
