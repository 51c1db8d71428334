"""The web application: one table of routes, one way of answering errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

from litestar import Litestar, Response
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.types import Method

from tintype.errors import TintypeError
from tintype.predict import Predictor
from tintype.web.api import Api
from tintype.web.documents import Documents
from tintype.web.errors import (
    ClientGone,
    on_client_gone,
    on_http_error,
    on_tintype_error,
    on_unexpected,
)
from tintype.web.files import Files, read_files
from tintype.web.health import Health
from tintype.web.pages import Pages
from tintype.web.trace import AnyRequest, begin, finish
from tintype.web.uploads import UploadLimits

Handler: TypeAlias = Callable[[AnyRequest], Awaitable[Response[Any]]]

_STATIC: Final = Path(__file__).with_name("static")
_GET: Final[tuple[Method, ...]] = ("GET", "HEAD")
_POST: Final[tuple[Method, ...]] = ("POST",)


def create_app(
    predictor: Predictor,
    *,
    limits: UploadLimits,
    samples: tuple[Path, ...] = (),
    title: str = "Tintype",
) -> Litestar:
    """The application around a predictor that somebody else starts and stops.

    ``samples`` are pictures that the page offers to play with. Reads its small files once.
    """
    pictures = read_files(samples)
    api = Api(predictor, limits=limits)
    health = Health(predictor)
    pages = Pages(predictor, limits=limits, samples=pictures, title=title)
    documents = Documents(title=title)
    static = Files(read_files(sorted(_STATIC.iterdir())))
    table: tuple[tuple[tuple[Method, ...], str, Handler], ...] = (
        (_GET, "/", pages.index),
        (_POST, "/", pages.submit),
        (_POST, "/api/predict", api.predict),
        (_POST, "/api/predict/batch", api.predict_batch),
        (_GET, "/api/models", api.models),
        (_GET, "/api/models/{name:str}", api.model),
        (_GET, "/live", health.live),
        (_GET, "/ready", health.ready),
        (_GET, "/docs", documents.docs),
        (_GET, "/openapi.json", documents.openapi),
        (_GET, "/problems/{slug:str}", documents.problem),
        (_GET, "/static/{name:str}", static.serve),
        (_GET, "/samples/{name:str}", Files(pictures).serve),
    )
    return Litestar(
        [_route(methods, path, handler) for methods, path, handler in table],
        before_request=begin,
        before_send=[finish],
        exception_handlers={
            TintypeError: on_tintype_error,
            ClientGone: on_client_gone,
            HTTPException: on_http_error,
            Exception: on_unexpected,
        },
        logging_config=None,
        openapi_config=None,
        request_max_body_size=None,
        debug=False,
    )


def _route(methods: tuple[Method, ...], path: str, handler: Handler) -> HTTPRouteHandler:
    return HTTPRouteHandler(path, http_method=methods, status_code=200)(handler)
