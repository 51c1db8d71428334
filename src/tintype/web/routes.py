"""The table of routes: which handler answers an address and a method, and what it needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from tintype.access.door import Door
from tintype.web.access import Handler, Need, guarded

_NAME: Final = re.compile(r"\{(\w+)(:path)?\}")


class Route:
    """One address, with a handler for each of its methods. HEAD is GET.

    ``{name}`` in ``path`` is a part of an address, ``{name:path}`` any number of parts. ``told`` is
    the path as logs and metrics tell it. ``needs`` says what each method asks of its caller.
    """

    def __init__(
        self, path: str, methods: Mapping[str, tuple[Handler, Need]], *, door: Door | None
    ) -> None:
        self.path = path
        self.told = path.replace(":path}", "}")
        self.needs = {method: need for method, (_, need) in methods.items()}
        self.handlers = {
            method: guarded(handler, need, door=door) for method, (handler, need) in methods.items()
        }
        if "GET" in self.handlers:
            self.handlers["HEAD"] = self.handlers["GET"]
        self._pattern = _compiled(path)

    @property
    def methods(self) -> frozenset[str]:
        """The methods that are answered."""
        return frozenset(self.handlers)

    def match(self, path: str) -> dict[str, str] | None:
        """What the names in the path stand for in this one; None where it is another address."""
        found = self._pattern.fullmatch(path)
        return None if found is None else found.groupdict()


class Routes:
    """Finds the route of an address, whole addresses at once."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.all = tuple(routes)
        self._whole = {route.path: route for route in self.all if "{" not in route.path}
        self._others = tuple(route for route in self.all if "{" in route.path)

    def find(self, path: str, method: str) -> tuple[Route, dict[str, str]] | None:
        """The route, and what the names in its path stand for; None where nothing is served.

        The first of the table that fits and has the method; else the first that fits.
        """
        whole = self._whole.get(path)
        found = None if whole is None else (whole, dict[str, str]())
        if whole is not None and method in whole.handlers:
            return found
        for route in self._others:
            named = route.match(path)
            if named is not None and method in route.handlers:
                return route, named
            if named is not None and found is None:
                found = route, named
        return found

    def methods(self, path: str) -> list[str]:
        """Every method that is answered at an address, sorted, by whichever route."""
        fit = (route for route in self.all if route.match(path) is not None)
        return sorted({method for route in fit for method in route.handlers})


def _compiled(path: str) -> re.Pattern[str]:
    pattern, at = "", 0
    for found in _NAME.finditer(path):
        name, whole = found.groups()
        pattern += re.escape(path[at : found.start()])
        pattern += f"(?P<{name}>{'.*' if whole else '[^/]+'})"
        at = found.end()
    return re.compile(pattern + re.escape(path[at:]))
