"""The web application: one table of routes. What every request goes through: ``application``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tintype.metrics import BODY_BYTES
from tintype.web.access import Handler, Need
from tintype.web.api import Api
from tintype.web.application import Application
from tintype.web.changes import Changes
from tintype.web.compat.policy import CompatPolicy
from tintype.web.feedback_pages import FeedbackPages
from tintype.web.files import Files, read_files
from tintype.web.health import Health
from tintype.web.inflight import BytesInFlight
from tintype.web.inputs import Pictures
from tintype.web.late import Late
from tintype.web.pages import Pages
from tintype.web.predictions import Predictions
from tintype.web.routes import Route, Routes
from tintype.web.scrape import Scrape
from tintype.web.services import Services
from tintype.web.sign_in import SignIn
from tintype.web.uploads import UploadLimits

_STATIC: Final = Path(__file__).with_name("static")


def create_app(
    services: Services,
    *,
    limits: UploadLimits,
    compat: CompatPolicy | None = None,
    samples: tuple[Path, ...] = (),
    title: str = "Tintype",
) -> Application:
    """The application around services that somebody else starts and stops.

    ``compat`` may switch the routes of older systems on. ``samples`` are pictures that the page
    offers to play with. Reads its small files once. Every route says what it needs of its caller.
    """
    samples_read = read_files(samples)
    predictor = services.predictor
    held = BytesInFlight(limits.max_bytes_in_flight)
    pictures = Pictures(services.inputs, held=held, limit=limits.max_body_bytes)
    changes = Changes(predictor, keeper=services.keeper, siblings=services.siblings)
    api = Api(predictor, pictures=pictures, limits=limits)
    predictions = Predictions(services.record, limits=limits)
    health = Health(predictor)
    keeps = services.pictures is not None and services.pictures.keeps
    pages = Pages(
        predictor,
        pictures=pictures,
        limits=limits,
        samples=samples_read,
        title=title,
        recorded=services.record is not None,
        keeps=keeps,
    )
    feedback = FeedbackPages(predictor, services.record, limits=limits, title=title)
    dashboard = Late(
        "tintype.web.dashboard", lambda late: late.DashboardPage(services, title=title).show
    )
    accuracy = Late("tintype.web.accuracy", lambda late: late.Accuracy(services.record).show)
    documents = "tintype.web.documents"
    docs = Late(documents, lambda late: late.Documents(title=title).docs)
    openapi = Late(documents, lambda late: late.Documents(title=title).openapi)
    problem = Late(documents, lambda late: late.Documents(title=title).problem)
    static = Files(read_files(sorted(_STATIC.iterdir())))
    metrics = services.metrics
    sign_in = SignIn(services.door, title=title)
    table: dict[str, Mapping[str, tuple[Handler, Need]]] = {  # asked most first
        "/api/predict": {"POST": (api.predict, Need.PREDICT)},
        "/": {"GET": (pages.index, Need.PAGE), "POST": (pages.submit, Need.PAGE)},
        "/predictions/{id}": {"GET": (feedback.show, Need.PAGE)},
        "/feedback": {"POST": (feedback.submit, Need.FEEDBACK)},
        "/dashboard": {"GET": (dashboard, Need.ADMIN)},
        "/sign-in": {"GET": (sign_in.form, Need.OPEN), "POST": (sign_in.submit, Need.OPEN)},
        "/sign-out": {"POST": (sign_in.sign_out, Need.OPEN)},
        "/api/predict/batch": {"POST": (api.predict_batch, Need.PREDICT)},
        "/api/models": {"GET": (api.models, Need.PREDICT)},
        "/api/models/{name:path}/reload": {"POST": (changes.reload, Need.ADMIN)},
        "/api/models/{name:path}": {"GET": (api.model, Need.PREDICT)},
        "/api/predictions/{id}": {
            "GET": (predictions.show, Need.FEEDBACK),
            "DELETE": (predictions.delete, Need.ADMIN),
        },
        "/api/predictions/{id}/feedback": {"PUT": (predictions.say, Need.FEEDBACK)},
        "/api/accuracy": {"GET": (accuracy, Need.FEEDBACK)},
        "/live": {"GET": (health.live, Need.OPEN)},
        "/ready": {"GET": (health.ready, Need.OPEN)},
        "/docs": {"GET": (docs, Need.OPEN)},
        "/openapi.json": {"GET": (openapi, Need.OPEN)},
        "/problems/{slug}": {"GET": (problem, Need.OPEN)},
        "/static/{name}": {"GET": (static.serve, Need.OPEN)},
        "/samples/{name}": {"GET": (Files(samples_read).serve, Need.OPEN)},
    }
    if metrics is not None:
        metrics.watch(BODY_BYTES, lambda: [((), held.held)])
        scrape = Scrape(metrics, siblings=services.siblings)
        table["/metrics"] = {"GET": (scrape.metrics, Need.OPERATIONS)}
    if compat is not None and compat.enabled:
        from tintype.web.compat.routes import Compat  # noqa: PLC0415 - few servers have them

        older = Compat(
            predictor,
            pictures=pictures,
            limits=limits,
            policy=compat,
            title=title,
            keeps=keeps,
            siblings=services.siblings,
        )
        table |= older.table()
    routes = Routes(Route(path, methods, door=services.door) for path, methods in table.items())
    return Application(routes, held=held, metrics=metrics, tracing=services.tracing)
