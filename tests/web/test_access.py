"""Keys, sessions and limits over HTTP; and ways around them that must not be there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tintype.access.addresses import read_networks
from tintype.access.door import AccessPolicy, Door, LimitPolicy
from tintype.access.keyring import Keyring
from tintype.access.keys import Key, Scope, digest_of, id_of, new_text
from tintype.access.limits import MemoryLimiter
from tintype.access.store import KeyStore
from tintype.metrics import Metrics
from tintype.web.access import Need
from tintype.web.app import create_app
from tintype.web.compat.policy import CompatPolicy
from tintype.web.forwarded import Forwarded, TrustedProxies
from tintype.web.services import Services

BASE = "http://tintype.test"


class Site:
    """An application with a door, and keys made on demand."""

    def __init__(self, folder: Path, predictor, limits) -> None:
        self.store = KeyStore(folder)
        self.predictor = predictor
        self.uploads = limits
        self.policy = AccessPolicy()
        self.limits = LimitPolicy()
        self.proxies = TrustedProxies()
        self.peer = "192.0.2.1"

    def key(self, name: str, *scopes: Scope, **more) -> str:
        """A new key's text."""
        text = new_text()
        self.store.add(
            Key(
                id=id_of(text.encode()),
                name=name,
                digest=digest_of(text.encode()),
                scopes=frozenset(scopes),
                **more,
            )
        )
        return text

    @asynccontextmanager
    async def open(self, *, base: str = BASE) -> AsyncIterator[httpx.AsyncClient]:
        """A client of it."""
        async with Keyring(self.store, session_seconds=3600) as keyring:
            door = Door(keyring, policy=self.policy, limits=self.limits, limiter=MemoryLimiter())
            self.door = door
            app = create_app(
                Services(predictor=self.predictor, door=door, metrics=Metrics()),
                limits=self.uploads,
            )
            self.app = app
            transport = httpx.ASGITransport(
                app=Forwarded(app, proxies=self.proxies), client=(self.peer, 1)
            )
            async with httpx.AsyncClient(transport=transport, base_url=base) as client:
                yield client


@pytest.fixture
def site(tmp_path, predictor, limits) -> Site:
    return Site(tmp_path, predictor, limits)


@pytest.fixture
def ann(site) -> dict[str, str]:
    """Headers with a key that may predict."""
    return {"x-api-key": site.key("ann", Scope.PREDICT)}


def kind(answer: httpx.Response) -> tuple[int, str]:
    assert "application/problem+json" == answer.headers["content-type"]
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


async def test_without_keys_nothing_is_asked_for(site, png):
    """The default on one's own machine."""
    async with site.open() as client:
        assert 200 == (await client.post("/api/predict", content=png)).status_code
        assert 200 == (await client.get("/")).status_code
        assert "ratelimit" not in (await client.get("/api/models")).headers


async def test_a_key_is_asked_for_once_there_is_one(site, ann, png):
    """Without it 401 with a challenge; with it in either header an answer."""
    async with site.open() as client:
        refused = await client.post("/api/predict", content=png)
        assert (401, "unauthorized") == kind(refused)
        assert 'Bearer realm="tintype"' == refused.headers["www-authenticate"]
        by_header = await client.post("/api/predict", content=png, headers=ann)
        bearer = {"authorization": f"bearer {ann['x-api-key']}"}
        by_bearer = await client.post("/api/predict", content=png, headers=bearer)
    assert (200, 200) == (by_header.status_code, by_bearer.status_code)
    assert ["ann", "ann"] == [asked.caller.key for asked in site.predictor.asked]


async def test_mode_on_asks_before_there_is_a_key(site):
    """Nobody comes in by being early; mode off asks nobody."""
    site.policy = AccessPolicy(mode="on")
    async with site.open() as client:
        assert 401 == (await client.get("/api/models")).status_code
    site.key("ann", Scope.PREDICT)
    site.policy = AccessPolicy(mode="off")
    async with site.open() as client:
        assert 200 == (await client.get("/api/models")).status_code


@pytest.mark.usefixtures("ann")
async def test_the_body_is_not_read_before_the_key(site):
    """A stranger cannot make the server take 25 MiB."""
    async with site.open():
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/api/predict",
            "raw_path": b"/api/predict",
            "query_string": b"",
            "headers": [(b"content-length", b"9")],
            "scheme": "http",
            "client": ("192.0.2.1", 1),
            "root_path": "",
        }
        sent: list[dict] = []

        async def receive() -> dict:
            raise AssertionError("the body was read")

        async def send(message: dict) -> None:
            sent.append(message)

        await site.app(scope, receive, send)
    assert 401 == sent[0]["status"]


async def test_a_missing_scope_is_a_403(site):
    """It says which scopes the key has, and which is needed."""
    headers = {"x-api-key": site.key("bob", Scope.FEEDBACK)}
    async with site.open() as client:
        refused = await client.get("/api/models", headers=headers)
    assert (403, "forbidden") == kind(refused)
    assert "has the scopes feedback, and predict is needed" in refused.json()["detail"]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        b"x",
        b"tt_abcdefgh_" + b"0" * 43,
        "tt_ä".encode(),
        b"\xff\xfe",
        b"x" * 60_000,
        b"tt_' OR 1=1 --",
    ],
)
@pytest.mark.parametrize("header", ["x-api-key", "authorization"])
@pytest.mark.usefixtures("ann")
async def test_a_wrong_key_is_a_401_whatever_it_is(site, header, value):
    """Empty, endless, no text at all: and it is not repeated in the answer."""
    sent = value if header == "x-api-key" else b"Bearer " + value
    async with site.open() as client:
        refused = await client.get("/api/models", headers={header: sent})
    assert (401, "unauthorized") == kind(refused)
    assert len(value) < 2 or value not in refused.content


@pytest.mark.parametrize("value", ["Basic YTpi", "Digest x", "tt_abc"])
@pytest.mark.usefixtures("ann")
async def test_another_kind_of_authorization_is_told(site, value):
    """As a 401 that names Bearer."""
    async with site.open() as client:
        refused = await client.get("/api/models", headers={"authorization": value})
    assert (401, "unauthorized") == kind(refused)
    assert "Bearer" in refused.json()["detail"]


async def test_two_keys_are_refused(site, ann):
    """Which of them was meant is not guessed, not even when both are right."""
    twice = [("x-api-key", ann["x-api-key"])] * 2
    both = [("x-api-key", ann["x-api-key"]), ("authorization", f"Bearer {ann['x-api-key']}")]
    async with site.open() as client:
        for headers in (twice, both):
            assert (400, "malformed-request") == kind(
                await client.get("/api/models", headers=headers)
            )


@pytest.mark.parametrize(
    "path",
    [
        "//api/predict",
        "/api/predict/",
        "/api//predict",
        "/API/predict",
        "/api/predict;x",
        "/./api/predict",
        "/api/predict%00",
        "/x/../api/predict",
        "/api%2fpredict",
    ],
)
@pytest.mark.usefixtures("ann")
async def test_no_spelling_of_an_address_leads_around_the_door(site, path, png):
    """It is either no address or one that asks for a key; the model is never reached."""
    async with site.open() as client:
        request = client.build_request("POST", BASE, content=png)
        request.url = request.url.copy_with(raw_path=path.encode())
        answer = await client.send(request)
    assert answer.status_code in {401, 404}
    assert [] == site.predictor.asked


@pytest.mark.usefixtures("ann")
async def test_every_route_but_the_open_ones_asks(site):
    """By every method that it takes, HEAD too."""
    open_routes = {"/sign-in", "/sign-out", "/live", "/ready", "/docs", "/openapi.json"}
    open_routes |= {"/problems/{slug}", "/static/{name}", "/samples/{name}"}
    async with site.open() as client:
        for route in site.app.routes:
            for method in route.methods:
                path = route.path.replace("{name:path}", "x").replace("{", "").replace("}", "")
                answer = await client.request(method, path)
                if route.path in open_routes:
                    assert 401 != answer.status_code
                else:
                    assert 401 == answer.status_code, (method, route.path)


@pytest.mark.usefixtures("ann")
async def test_options_tells_nothing(site):
    """There is no CORS, so no preflight is answered."""
    headers = {"origin": "https://evil.test", "access-control-request-method": "POST"}
    async with site.open() as client:
        answer = await client.options("/api/predict", headers=headers)
    assert 405 == answer.status_code
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.usefixtures("ann")
async def test_a_websocket_is_closed(site):
    """There is none here, and none gets past the door."""
    sent: list[dict] = []

    async def receive() -> dict:
        return {"type": "websocket.connect"}

    async def send(message: dict) -> None:
        sent.append(message)

    async with site.open():
        scope = {"type": "websocket", "path": "/api/predict", "headers": [], "scheme": "ws"}
        await site.app({**scope, "query_string": b"", "subprotocols": []}, receive, send)
    assert ["websocket.close"] == [message["type"] for message in sent]


async def test_the_rate_of_a_key_is_told_and_kept(site, png):
    """RateLimit and RateLimit-Policy on every answer, 429 with Retry-After past it."""
    headers = {"x-api-key": site.key("ann", Scope.PREDICT, per_minute=2, per_day=100)}
    async with site.open() as client:
        first, second, third = [
            await client.post("/api/predict", content=png, headers=headers) for _ in range(3)
        ]
    assert '"minute";q=2;w=60, "day";q=100;w=86400' == first.headers["ratelimit-policy"]
    assert first.headers["ratelimit"].startswith('"minute";r=1;t=30, "day";r=99;t=')
    assert 200 == second.status_code
    assert (429, "rate-limited") == kind(third)
    assert 29 <= int(third.headers["retry-after"]) <= 30
    assert '"minute";r=0;t=60' == third.headers["ratelimit"].split(", ")[0]


async def test_errors_tell_the_limits_too(site):
    """A picture that cannot be read has cost as much as one that can."""
    headers = {"x-api-key": site.key("ann", Scope.PREDICT, per_minute=5)}
    async with site.open() as client:
        refused = await client.post("/api/predict", content=b"no picture", headers=headers)
    assert (415, '"minute";r=4;t=12') == (refused.status_code, refused.headers["ratelimit"])


async def test_the_day_of_a_key_is_kept_over_a_restart(site):
    """429 until midnight UTC."""
    headers = {"x-api-key": site.key("ann", Scope.PREDICT, per_day=2)}
    async with site.open() as client:
        for _ in range(2):
            assert 200 == (await client.get("/api/models", headers=headers)).status_code
    async with site.open() as client:
        refused = await client.get("/api/models", headers=headers)
    assert (429, "quota-exceeded") == kind(refused)
    assert 1 <= int(refused.headers["retry-after"]) <= 86_400


async def test_a_batch_counts_as_its_pictures(site, png):
    """All or none; the limits are told as they are after it."""
    headers = {"x-api-key": site.key("ann", Scope.PREDICT, per_minute=4)}
    three = [("image", ("a.png", png, "image/png"))] * 3
    async with site.open() as client:
        first = await client.post("/api/predict/batch", files=three, headers=headers)
        second = await client.post("/api/predict/batch", files=three, headers=headers)
    assert (200, '"minute";r=1;t=45') == (first.status_code, first.headers["ratelimit"])
    assert (429, "rate-limited") == kind(second)
    assert 3 == len(site.predictor.asked)


async def test_an_address_has_a_rate_without_any_key(site):
    """Its IPv6 neighbours in a /64 are the same caller."""
    site.limits = LimitPolicy(address_per_minute=2)
    site.peer = "2001:db8::1"
    async with site.open() as client:
        for _ in range(2):
            assert 200 == (await client.get("/api/models")).status_code
        assert (429, "rate-limited") == kind(await client.get("/api/models"))
        other = httpx.ASGITransport(app=site.app, client=("2001:db8::2", 1))
        async with httpx.AsyncClient(transport=other, base_url=BASE) as neighbour:
            assert 429 == (await neighbour.get("/api/models")).status_code
        assert 200 == (await client.get("/live")).status_code


async def test_guessing_is_slowed_and_the_right_key_is_not(site, ann):
    """Wrong keys from one address run into a limit; who has a right one does not notice."""
    site.limits = LimitPolicy(wrong_keys_per_minute=3)
    async with site.open() as client:
        wrong = [await client.get("/api/models", headers={"x-api-key": "x"}) for _ in range(5)]
        right = await client.get("/api/models", headers=ann)
    assert [401, 401, 401, 429, 429] == [answer.status_code for answer in wrong]
    assert 200 == right.status_code


async def test_no_secret_is_logged(site, ann, logs):
    """Neither key nor session, in no line."""
    async with site.open() as client:
        await client.get("/api/models", headers=ann)
        await client.get("/api/models", headers={"x-api-key": "tt_wrongwrong"})
        signed = await client.post("/sign-in", data={"key": ann["x-api-key"]}, headers=SAME)
        session = signed.cookies["tintype"]
    text = repr(logs)
    assert logs
    assert not [secret for secret in (ann["x-api-key"], session, "tt_wrong") if secret in text]


SAME = {"sec-fetch-site": "same-origin"}


@asynccontextmanager
async def signed_in(site, text: str, *, base: str = BASE) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that has signed in."""
    async with site.open(base=base) as client:
        answer = await client.post("/sign-in", data={"key": text}, headers=SAME)
        assert (303, "/") == (answer.status_code, answer.headers["location"])
        yield client


@pytest.mark.usefixtures("ann")
async def test_a_person_is_led_to_the_sign_in(site):
    """A browser that asks for the page; scripts and programs get the problem."""
    html = {"accept": "text/html,*/*"}
    async with site.open() as client:
        page = await client.get("/", headers=html)
        script = await client.post("/", headers=html | {"x-fragment": "answer"})
        form = await client.get("/sign-in")
    assert (303, "/sign-in") == (page.status_code, page.headers["location"])
    assert (401, "unauthorized") == kind(script)
    assert (200, True) == (form.status_code, 'name="key"' in form.text)


async def test_a_signed_in_browser_uses_the_page(site, ann, png):
    """The prediction carries the key's name; the page offers the way out."""
    async with signed_in(site, ann["x-api-key"]) as client:
        assert "Sign out" in (await client.get("/")).text
        answer = await client.post("/", files={"image": png}, headers=SAME)
        assert 200 == answer.status_code
    assert "ann" == site.predictor.asked[0].caller.key


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(site, ann):
    """HttpOnly, SameSite; over TLS Secure, and bound to this very host by its name."""
    async with site.open() as client:
        plain = await client.post("/sign-in", data={"key": ann["x-api-key"]}, headers=SAME)
    async with site.open(base="https://tintype.test") as client:
        secure = await client.post("/sign-in", data={"key": ann["x-api-key"]}, headers=SAME)
    assert plain.headers["set-cookie"].startswith("tintype=")
    assert "secure" not in plain.headers["set-cookie"].lower()
    assert secure.headers["set-cookie"].startswith("__Host-tintype=")
    for part in ("httponly", "samesite=lax", "path=/", "max-age=3600", "secure"):
        assert part in secure.headers["set-cookie"].lower().split("; ")
    assert "domain" not in secure.headers["set-cookie"].lower()


@pytest.mark.usefixtures("ann")
async def test_a_wrong_key_does_not_sign_in(site):
    """The form comes again with the reason, and no cookie."""
    async with site.open() as client:
        refused = await client.post("/sign-in", data={"key": "tt_no"}, headers=SAME)
    assert (401, True) == (refused.status_code, "unknown, revoked" in refused.text)
    assert "set-cookie" not in refused.headers


async def test_signing_out_ends_the_session_on_the_server(site, ann):
    """The cookie that somebody copied is worth nothing afterwards."""
    async with signed_in(site, ann["x-api-key"]) as client:
        copied = client.cookies["tintype"]
        answer = await client.post("/sign-out", headers=SAME)
        assert (303, "/sign-in") == (answer.status_code, answer.headers["location"])
        assert "max-age=0" in answer.headers["set-cookie"].lower()
        again = await client.get("/api/models", headers={"cookie": f"tintype={copied}"})
    assert 401 == again.status_code


async def test_a_session_that_was_planted_is_not_taken(site, ann):
    """Signing in always makes a new one (session fixation)."""
    async with site.open() as client:
        planted = {"cookie": "tintype=planted", **SAME}
        answer = await client.post("/sign-in", data={"key": ann["x-api-key"]}, headers=planted)
        assert "planted" not in answer.headers["set-cookie"]
        assert 401 == (await client.get("/api/models", headers=planted)).status_code


async def test_two_cookies_of_the_name_are_none(site, ann):
    """A neighbour on the domain may have slipped one in."""
    async with signed_in(site, ann["x-api-key"]) as client:
        real = client.cookies["tintype"]
        client.cookies.clear()
        for cookie in (f"tintype={real}; tintype=x", f"tintype=x; tintype={real}"):
            answer = await client.get("/api/models", headers={"cookie": cookie})
            assert 401 == answer.status_code
        alone = await client.get("/api/models", headers={"cookie": f"a=b; tintype={real}"})
    assert 200 == alone.status_code


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site", "origin": "https://evil.test"},
        {"sec-fetch-site": "same-site", "origin": "http://other.tintype.test"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "cross-site", "origin": BASE},
        {"origin": "https://evil.test"},
        {"origin": "null"},
        {"origin": "http://tintype.test.evil.test"},
        {"origin": "http://["},
        {"origin": ""},
        {},
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/predict", "/sign-out", "/sign-in"])
async def test_another_site_cannot_ask_in_a_persons_name(site, ann, png, headers, path):
    """Nor a browser that does not say which site asks: forms, scripts, signing in and out."""
    async with signed_in(site, ann["x-api-key"]) as client:
        answer = await client.post(path, files={"image": png}, headers=headers)
        assert (403, "foreign-form") == kind(answer)
        assert 200 == (await client.get("/api/models")).status_code
    assert [] == site.predictor.asked


@pytest.mark.parametrize("headers", [SAME, {"origin": BASE}, {"origin": "HTTP://Tintype.test"}])
async def test_the_page_itself_may_ask(site, ann, png, headers):
    """Told by either header."""
    async with signed_in(site, ann["x-api-key"]) as client:
        answer = await client.post("/api/predict", content=png, headers=headers)
    assert 200 == answer.status_code


async def test_a_key_in_a_header_needs_no_origin(site, ann, png):
    """Browsers send no such header by themselves."""
    async with site.open() as client:
        answer = await client.post(
            "/api/predict", content=png, headers=ann | {"origin": "https://elsewhere.test"}
        )
    assert 200 == answer.status_code


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("/docs", "/docs"),
        ("//evil.test", "/"),
        ("https://evil.test", "/"),
        ("/\\evil.test", "/"),
        ("/a\r\nset-cookie: x=y", "/"),
        ("/" + "a" * 600, "/"),
        ("", "/"),
        ("/ä", "/"),
    ],
)
async def test_signing_in_leads_nowhere_but_here(site, ann, wanted, expected):
    """No open redirect, no header of the caller's making."""
    async with site.open() as client:
        answer = await client.post(
            "/sign-in", data={"key": ann["x-api-key"], "next": wanted}, headers=SAME
        )
    assert (303, expected) == (answer.status_code, answer.headers["location"])
    assert "x" not in answer.cookies


@pytest.mark.parametrize("body", [b"&" * 4000, b"a=1&" * 900, b"key=%ff%00", b"\xff\x00", b""])
@pytest.mark.usefixtures("ann")
async def test_no_form_is_an_error_of_the_server(site, body):
    """Whatever is sent to the sign-in."""
    async with site.open() as client:
        assert (await client.post("/sign-in", content=body, headers=SAME)).status_code in {400, 401}
        assert (await client.post("/sign-in", content=b"a" * 5000, headers=SAME)).status_code == 413


async def test_what_a_trusted_proxy_tells_is_believed(site, ann):
    """Its callers are told apart, and the scheme makes the cookie secure."""
    site.peer = "10.0.0.1"
    site.proxies = TrustedProxies(networks=read_networks(("10.0.0.1",)))
    site.limits = LimitPolicy(wrong_keys_per_minute=1)
    wrong = {"x-api-key": "x", "x-forwarded-proto": "https"}
    async with site.open() as client:
        for address in ("7.7.7.7", "8.8.8.8"):
            headers = wrong | {"x-forwarded-for": address}
            assert 401 == (await client.get("/api/models", headers=headers)).status_code
        again = wrong | {"x-forwarded-for": "1.2.3.4, 7.7.7.7"}
        assert 429 == (await client.get("/api/models", headers=again)).status_code
        told = {"x-forwarded-for": "7.7.7.7", "x-forwarded-proto": "https", **SAME}
        signed = await client.post("/sign-in", data={"key": ann["x-api-key"]}, headers=told)
    assert signed.headers["set-cookie"].startswith("__Host-tintype=")


@pytest.mark.usefixtures("ann")
async def test_what_a_stranger_tells_of_itself_is_not_believed(site):
    """Another address in each request is still the same caller."""
    site.limits = LimitPolicy(wrong_keys_per_minute=1)
    async with site.open() as client:
        statuses = [
            (
                await client.get(
                    "/api/models",
                    headers={
                        "x-api-key": "x",
                        "x-forwarded-for": f"7.7.7.{number}",
                        "forwarded": f"for=7.7.7.{number}",
                        "x-real-ip": f"7.7.7.{number}",
                    },
                )
            ).status_code
            for number in range(3)
        ]
    assert [401, 429, 429] == statuses


@pytest.mark.usefixtures("ann")
async def test_the_other_header_is_not_looked_at(site):
    """The proxy writes one; the other comes from the caller as it is."""
    site.peer = "10.0.0.1"
    site.proxies = TrustedProxies(networks=read_networks(("10.0.0.1",)), header="forwarded")
    site.limits = LimitPolicy(wrong_keys_per_minute=1)
    async with site.open() as client:
        for number, expected in enumerate((401, 429)):
            headers = {
                "x-api-key": "x",
                "forwarded": "for=7.7.7.7",
                "x-forwarded-for": f"8.8.8.{number}",
            }
            assert expected == (await client.get("/api/models", headers=headers)).status_code


@pytest.mark.usefixtures("ann")
async def test_metrics_are_for_this_machine_and_for_admins(site):
    """A proxy on this machine is no caller on this machine, whoever it speaks for."""
    admin = {"x-api-key": site.key("root", Scope.ADMIN)}
    site.peer = "127.0.0.1"
    async with site.open() as client:
        assert 200 == (await client.get("/metrics")).status_code
        for header in ("x-forwarded-for", "forwarded", "via", "x-real-ip"):
            assert 401 == (await client.get("/metrics", headers={header: "x"})).status_code
    site.peer = "192.0.2.1"
    async with site.open() as client:
        assert 401 == (await client.get("/metrics")).status_code
        assert 200 == (await client.get("/metrics", headers=admin)).status_code


def needs(app) -> dict[str, dict[str, Need]]:
    return {route.path: route.needs for route in app.routes}


def test_every_route_says_what_it_needs(predictor, limits):
    """In the table of the guide, which has no route that is not there."""
    app = create_app(
        Services(predictor=predictor, metrics=Metrics()),
        limits=limits,
        compat=CompatPolicy(enabled=True),
    )
    guide = (Path(__file__).resolve().parents[2] / "docs/guides/secure.md").read_text()
    told = {
        tuple(cell.strip().strip("`") for cell in line.strip("|").split("|")[:2])
        for line in guide.partition("## What needs which scope")[2]
        .partition("\n## ")[0]
        .splitlines()
        if line.startswith("| `")
    }
    assert told == {
        (f"{method} {path.replace(':path', '')}", str(need))
        for path, methods in needs(app).items()
        for method, need in methods.items()
    }
