"""What changes something is taken from pages of this server only.

Browsers say where a form was sent from: ``Sec-Fetch-Site`` (W3C Fetch Metadata), older ones
``Origin``. A program that sends neither has no one's rights but its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from tintype.errors import ForeignForm


def refuse_foreign_form(headers: Mapping[str, str]) -> None:
    """Raise ForeignForm when a page of another site sent the form, or what a form could send."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        ours = site in {"same-origin", "none"}  # none: the person did it, by loading again, say
    else:
        origin = headers.get("origin")
        ours = origin is None or _host(origin) == headers.get("host", "").lower()
    if not ours:
        raise ForeignForm(
            "this was sent by a page of another site",
            hint="send it from this server's own page, or from a program",
        )


def refuse_other_sites(headers: Mapping[str, str]) -> None:
    """Raise ForeignForm unless the browser says that a page of this server asks.

    For what a session's cookie lets in: a browser sends it along by itself, and one that does not
    say which site asks cannot be told from an attack.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        ours = site == "same-origin"
    else:
        ours = origin is not None and _host(origin) == headers.get("host", "").lower()
    if not ours:
        raise ForeignForm(
            "a page of another site may not ask in your name",
            hint="programs send a key: Authorization: Bearer KEY",
        )


def _host(origin: str) -> str:
    """Host and port of an origin; empty for ``null`` and nonsense, which is no host."""
    try:
        return urlsplit(origin).netloc.lower() or "-"
    except ValueError:
        return "-"
