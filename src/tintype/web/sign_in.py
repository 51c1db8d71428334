"""``/sign-in`` and ``/sign-out``: a browser shows its key once and keeps a session instead."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from tintype.access.door import Door, Visitor
from tintype.errors import MalformedRequest, TintypeError
from tintype.web.access import cookie_name, peer_of, session_text
from tintype.web.body import read_body
from tintype.web.errors import problem_of, status_of
from tintype.web.render import render
from tintype.web.responses import html_response
from tintype.web.same_origin import refuse_other_sites
from tintype.web.uploads import UploadLimits

_SMALL: Final = UploadLimits(max_body_bytes=4096, max_body_seconds=10.0)
_LONGEST_PATH: Final = 512


class SignIn:
    """The form, what it sends, and the way out. Without a door there is nothing to sign in to."""

    def __init__(self, door: Door | None, *, title: str) -> None:
        self._door = door
        self._title = title

    async def form(self, request: Request) -> Response:
        """The form, or on to the page where no key is asked for."""
        target = _local(request.query_params.get("next", "/"))
        if self._door is None or not self._door.asks_for_keys:
            return _go(target)
        return self._page(target)

    async def submit(self, request: Request) -> Response:
        """A key: the session's cookie, and on to where the visitor came from."""
        body = await read_body(request, limits=_SMALL)
        refuse_other_sites(request.headers)
        fields = _fields(body)
        target = _local(fields.get("next", ["/"])[0])
        if self._door is None or not self._door.asks_for_keys:
            return _go(target)
        text = fields.get("key", [""])[0].strip().encode("latin-1", "replace")
        try:
            visitor = Visitor(address=peer_of(request.scope), key=text or b"-")
            key = await self._door.known(visitor)
            session = await self._door.keyring.open_session(key)
        except TintypeError as error:
            return self._page(target, error=error)
        answer = _go(target)
        _set_cookie(request, answer, session, seconds=int(self._door.keyring.session_seconds))
        return answer

    async def sign_out(self, request: Request) -> Response:
        """The session ends, here and in the browser."""
        refuse_other_sites(request.headers)
        session = session_text(request)
        if session and self._door is not None:
            await self._door.keyring.close_session(session)
        answer = _go("/sign-in")
        _set_cookie(request, answer, "", seconds=0)
        return answer

    def _page(self, target: str, *, error: TintypeError | None = None) -> Response:
        problem = problem_of(error) if error else None
        html = render("sign_in.html", title=self._title, next=target, problem=problem)
        return html_response(html, status=status_of(problem))


def _set_cookie(request: Request, answer: Response, text: str, *, seconds: int) -> None:
    answer.set_cookie(
        cookie_name(request),
        text,
        max_age=seconds,
        path="/",
        secure=request.scope["scheme"] == "https",
        httponly=True,
        samesite="lax",
    )


def _fields(body: bytes) -> dict[str, list[str]]:
    try:
        return parse_qs(body.decode("latin-1"), max_num_fields=8)
    except ValueError as error:
        raise MalformedRequest("the form has more fields than it was given") from error


def _local(path: str) -> str:
    """A path of this server and nothing else, for what a link may have brought along."""
    plain = path.startswith("/") and path.isascii() and path.isprintable()
    if not plain or path.startswith("//") or "\\" in path or len(path) > _LONGEST_PATH:
        return "/"
    return path


def _go(where: str) -> Response:
    return Response(
        b"",
        status_code=HTTPStatus.SEE_OTHER,
        headers={"Location": where, "Cache-Control": "no-store"},
    )
