"""What a tuning comes to: as a value, as a card's table with its evidence, as JSON. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tintype.tuning.candidates import Candidate
from tintype.tuning.choice import Aim, Speed
from tintype.tuning.judging import Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where and with what it was measured: the day (ISO 8601), processor and versions, in words."""

    date: str
    processor: str
    versions: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Everything found. ``speeds`` are of the last comparison, ``layouts`` of the first.

    ``judgements`` of precisions that were asked about the samples, ``left_out`` why others were
    not. ``picture_seconds``: what decoding and preparing a sample takes beside the model, None
    without samples.
    """

    aim: Aim
    base: Candidate
    kept: Candidate
    layouts: Mapping[Candidate, Speed]
    speeds: Mapping[Candidate, Speed]
    judgements: Mapping[str, Judgement] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    calibrated: int = 0
    picture_seconds: float | None = None

    @property
    def all_speeds(self) -> dict[Candidate, Speed]:
        """Of every candidate, all beside one base; where it was measured twice, the last counts."""
        speeds = {**self.layouts, **self.speeds}
        return {candidate: speed.beside(speeds[self.base]) for candidate, speed in speeds.items()}


def evidence(outcome: Outcome, machine: Machine) -> dict[str, object]:
    """The table ``[tuned.evidence]``: figures that let a person judge the choice."""
    kept = outcome.all_speeds[outcome.kept]
    told: dict[str, object] = {
        "date": machine.date,
        "processor": machine.processor,
        "versions": machine.versions,
        "aim": outcome.aim.value,
        "compared_with": outcome.base.words,
        "faster": round(kept.throughput, 2),
        "faster_alone": round(kept.alone, 2),
        "pictures_a_second": round(kept.a_second, 1),
        "alone_ms": round(kept.alone_seconds * 1000, 2),
    }
    if outcome.picture_seconds is not None:
        told["decode_and_prepare_ms"] = round(outcome.picture_seconds * 1000, 2)
    judgement = outcome.judgements.get(outcome.kept.precision)
    if judgement is not None:
        told |= _judged(judgement)
        told["calibrated"] = outcome.calibrated if outcome.kept.precision == "int8" else 0
    told["tried"] = [
        f"{candidate.words}: {speed.throughput:.2f}, alone {speed.alone:.2f}"
        for candidate, speed in outcome.all_speeds.items()
    ]
    told["not_kept"] = [f"{name}: {why}" for name, why in refusals(outcome).items()]
    return told


def refusals(outcome: Outcome) -> dict[str, str]:
    """Why precisions were not in the comparison."""
    judged = {name: each.refused for name, each in outcome.judgements.items() if each.refused}
    return {**outcome.left_out, **judged}


def body(outcome: Outcome, machine: Machine) -> dict[str, object]:
    """The outcome as one JSON object."""
    return {
        "aim": outcome.aim.value,
        "machine": machine,
        "kept": outcome.kept,
        "candidates": [
            {"candidate": candidate, "speed": speed}
            for candidate, speed in outcome.all_speeds.items()
        ],
        "judgements": dict(outcome.judgements),
        "left_out": refusals(outcome),
        "calibrated": outcome.calibrated,
        "picture_seconds": outcome.picture_seconds,
    }


def _judged(judgement: Judgement) -> dict[str, object]:
    told: dict[str, object] = {
        "judged": judgement.agreement.judged,
        "agreement": round(judgement.agreement.value or 0.0, 4),
        "agreement_interval": [
            round(judgement.agreement.low, 4),
            round(judgement.agreement.high, 4),
        ],
    }
    if judgement.accuracy.value is not None and judgement.plain_accuracy.value is not None:
        told["labelled"] = judgement.accuracy.judged
        told["accuracy"] = round(judgement.accuracy.value, 4)
        told["accuracy_f32"] = round(judgement.plain_accuracy.value, 4)
    return told
