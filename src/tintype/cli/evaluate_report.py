"""An evaluation as one HTML page that needs nothing but itself."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from importlib import resources
from typing import Final

from tintype import __version__
from tintype.bulk.picture_file import read_picture
from tintype.errors import TintypeError
from tintype.evaluation.result import Evaluation
from tintype.evaluation.run import Examined
from tintype.imaging.thumbnail import thumbnail
from tintype.settings import Settings
from tintype.types import name_text
from tintype.web.figures import figures
from tintype.web.render import render

_STYLES: Final = ("base.css", "figures.css", "report.css")
_MOST_MISTAKES: Final = 48
_SIDE: Final = 224


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """A wrong answer with its picture as a data URL, empty where it cannot be shown."""

    file: str
    right: str
    answered: str
    score: float
    picture: str


def report_page(done: Evaluation, settings: Settings) -> str:
    """The page: figures, plots, and the surest mistakes as small pictures."""
    return render(
        "report.html",
        subject=done.subject,
        folder=name_text(str(done.folder.path)),
        matches=done.folder.matches,
        skipped=done.folder.skipped,
        figures=figures(done.report),
        pictures=len(done.examined),
        seconds=done.seconds,
        mistakes=[_mistake(each, done, settings) for each in done.mistakes[:_MOST_MISTAKES]],
        more_mistakes=max(0, len(done.mistakes) - _MOST_MISTAKES),
        unread=[
            {"file": _name(each, done), "why": each.error.detail if each.error else ""}
            for each in done.unread
        ],
        style="\n".join(_style(name) for name in _STYLES),
        tintype=__version__,
    )


def _mistake(each: Examined, done: Evaluation, settings: Settings) -> Mistake:
    best = each.labels[0] if each.labels else None
    return Mistake(
        file=_name(each, done),
        right=each.right,
        answered=best.label if best else "no label",
        score=best.score if best else 0.0,
        picture=_picture(each, settings),
    )


def _picture(each: Examined, settings: Settings) -> str:
    try:
        data = read_picture(each.file, limit=settings.uploads.max_body_bytes)
        small = thumbnail(data, side=_SIDE, limits=settings.images)
    except TintypeError:  # it was there a moment ago; its name is told all the same
        return ""
    return "data:image/jpeg;base64," + base64.b64encode(small).decode()


def _name(each: Examined, done: Evaluation) -> str:
    return name_text(str(each.file.relative_to(done.folder.path)))


def _style(name: str) -> str:
    return resources.files("tintype.web").joinpath("static", name).read_text("utf-8")
