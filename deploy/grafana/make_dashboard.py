"""Writes tintype.json, the dashboard: its panels are a table here, its shape is Grafana's.

    python deploy/grafana/make_dashboard.py

A test makes it anew and compares.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

SOURCE = {"type": "prometheus", "uid": "${source}"}
ONE = 'instance=~"$instance"'
MODEL = f'{ONE},model=~"$model"'
TOTAL = f'{ONE},stage="total"'
FAILED = f'{MODEL},outcome!="ok"'
_CHANGED = f"increase(tintype_model_changes_total{{{MODEL}}}[$__rate_interval])"
# each process loads it, which is one change
CHANGES = f"sum by (model, change) (max by (instance, model, change) ({_CHANGED}))"
COUNT = "tintype_stage_seconds_count"


class Panel(NamedTuple):
    """One panel: what it shows, in which unit, how wide (of 24), and its queries with legends."""

    title: str
    unit: str
    width: int
    queries: tuple[tuple[str, str], ...]
    kind: str = "timeseries"
    description: str = ""


def rate(metric: str, labels: str = ONE) -> str:
    """Events a second."""
    return f"rate({metric}{{{labels}}}[$__rate_interval])"


def increase(metric: str) -> str:
    """Events since the point before."""
    return f"sum(increase({metric}{{{ONE}}}[$__rate_interval]))"


def of_instance(query: str) -> str:
    """A query of every process as one number of each server."""
    return f"sum by (instance) ({query})"


def largest(metric: str, by: str) -> str:
    """What every process tells alike, once."""
    return f"max by ({by}) ({metric}{{{MODEL}}})"


def share(part: str, rest: str) -> str:
    """The part of all that is ``part``, where ``rest`` is counted apart."""
    return f"sum({rate(part)}) / (sum({rate(part)}) + sum({rate(rest, TOTAL)}))"


def mean(metric: str, by: str) -> str:
    """The mean value of a histogram by one label."""
    ends = (f"sum by ({by}) ({rate(metric + end, MODEL)})" for end in ("_sum", "_count"))
    return " / ".join(ends)


def quantile(share: float, metric: str, by: str, labels: str = ONE) -> str:
    """A quantile of a histogram by one label."""
    by = f"{by}, le" if by else "le"
    return f"histogram_quantile({share}, sum by ({by}) ({rate(f'{metric}_bucket', labels)}))"


ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Now",
        (
            Panel("Pictures a second", "reqps", 6, ((f"sum({rate(COUNT, TOTAL)})", ""),), "stat"),
            Panel(
                "Median", "s", 6, ((quantile(0.5, "tintype_stage_seconds", "", TOTAL), ""),), "stat"
            ),
            Panel(
                "Turned away",
                "percentunit",
                6,
                (
                    (
                        share("tintype_refused_total", COUNT),
                        "",
                    ),
                ),
                "stat",
                "Share of the pictures that ended with an error",
            ),
            Panel(
                "Versions that answer",
                "none",
                6,
                ((f"sum(min by (instance, model, version) (tintype_model_ready{{{ONE}}}))", ""),),
                "stat",
                "In every process of their server",
            ),
        ),
    ),
    (
        "Requests",
        (
            Panel(
                "Requests by status",
                "reqps",
                12,
                ((f"sum by (status) ({rate('tintype_requests_total')})", "{{status}}"),),
            ),
            Panel(
                "Requests by route",
                "reqps",
                12,
                ((f"sum by (route) ({rate('tintype_requests_total')})", "{{route}}"),),
            ),
            Panel(
                "Time to answer by route, 99 %",
                "s",
                12,
                ((quantile(0.99, "tintype_request_seconds", "route"), "{{route}}"),),
            ),
            Panel(
                "Refused by reason",
                "reqps",
                12,
                (
                    (f"sum by (reason) ({rate('tintype_refused_total')})", "{{reason}}"),
                    (f"sum({rate('tintype_shed_total')})", "refused unread"),
                ),
            ),
        ),
    ),
    (
        "Where the time goes",
        (
            Panel(
                "Stages, median",
                "s",
                12,
                ((quantile(0.5, "tintype_stage_seconds", "stage"), "{{stage}}"),),
            ),
            Panel(
                "Stages, 99 %",
                "s",
                12,
                ((quantile(0.99, "tintype_stage_seconds", "stage"), "{{stage}}"),),
            ),
        ),
    ),
    (
        "Models",
        (
            Panel(
                "Results by version",
                "reqps",
                8,
                (
                    (
                        f"sum by (model, version) ({rate('tintype_results_total', MODEL)})",
                        "{{model}} {{version}}",
                    ),
                ),
                description="A canary's share is seen here",
            ),
            Panel(
                "Wait and run by version, 99 %",
                "s",
                8,
                (
                    (
                        quantile(0.99, "tintype_result_seconds", "model, version", MODEL),
                        "{{model}} {{version}}",
                    ),
                ),
            ),
            Panel(
                "Errors in results",
                "reqps",
                8,
                (
                    (
                        f"sum by (model, outcome) ({rate('tintype_results_total', FAILED)})",
                        "{{model}} {{outcome}}",
                    ),
                ),
            ),
            Panel(
                "Waiting pictures",
                "none",
                8,
                ((f"sum by (model) (tintype_queue_pictures{{{MODEL}}})", "{{model}}"),),
            ),
            Panel(
                "Pictures in a run, mean",
                "none",
                8,
                (
                    (
                        mean("tintype_batch_pictures", "model"),
                        "{{model}}",
                    ),
                ),
            ),
            Panel(
                "Changes",
                "none",
                8,
                (
                    (
                        CHANGES,
                        "{{model}} {{change}}",
                    ),
                ),
            ),
            Panel(
                "Load time",
                "s",
                12,
                (
                    (
                        largest("tintype_model_load_seconds", "model, version"),
                        "{{model}} {{version}}",
                    ),
                ),
            ),
            Panel(
                "Canaries in the shadow",
                "reqps",
                12,
                (
                    (
                        f"sum by (model, outcome) ({rate('tintype_shadow_total', MODEL)})",
                        "{{model}} {{outcome}}",
                    ),
                ),
            ),
        ),
    ),
    (
        "Accuracy",
        (
            Panel(
                "Right, of what people judged",
                "percentunit",
                12,
                ((largest("tintype_accuracy_ratio", "model, version"), "{{model}} {{version}}"),),
            ),
            Panel(
                "Judged predictions",
                "none",
                12,
                (
                    (
                        largest("tintype_feedback", "model, version, verdict"),
                        "{{model}} {{version}} {{verdict}}",
                    ),
                ),
            ),
        ),
    ),
    (
        "The server",
        (
            Panel(
                "Resident memory",
                "bytes",
                8,
                ((of_instance(f"process_resident_memory_bytes{{{ONE}}}"), "{{instance}}"),),
                description="Of several processes, what they share counts in each",
            ),
            Panel(
                "Bytes in flight",
                "bytes",
                8,
                (
                    (f"sum(tintype_picture_bytes{{{ONE}}})", "decoded pictures"),
                    (f"sum(tintype_body_bytes{{{ONE}}})", "bodies"),
                ),
            ),
            Panel(
                "Processor",
                "none",
                8,
                ((of_instance(rate("process_cpu_seconds_total")), "{{instance}}"),),
                description="Cores in use",
            ),
            Panel(
                "Pictures that wait for memory",
                "none",
                8,
                ((of_instance(f"tintype_pictures_waiting{{{ONE}}}"), "{{instance}}"),),
            ),
            Panel(
                "Waiting to be recorded",
                "none",
                8,
                ((of_instance(f"tintype_record_queue{{{ONE}}}"), "{{instance}}"),),
            ),
            Panel(
                "Lost lines, records and answers of Redis",
                "none",
                8,
                (
                    (
                        increase("tintype_log_lines_dropped_total"),
                        "log lines",
                    ),
                    (
                        increase("tintype_record_dropped_total"),
                        "predictions",
                    ),
                    (
                        increase("tintype_kept_pictures_dropped_total"),
                        "pictures to be kept",
                    ),
                    (
                        increase("tintype_redis_failures_total"),
                        "answers of Redis",
                    ),
                ),
            ),
        ),
    ),
)


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it (schema of Grafana 10 and later)."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS:
        panels.append(_row(len(panels) + 1, title, y))
        y += 1
        x = 0
        for panel in row:
            if x + panel.width > 24:
                x, y = 0, y + 8
            panels.append(_panel(len(panels) + 1, panel, x, y))
            x += panel.width
        y += 8
    return {
        "title": "Tintype",
        "uid": "tintype",
        "tags": ["tintype"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_source(), _choice("instance"), _choice("model")]},
        "panels": panels,
    }


def _row(number: int, title: str, y: int) -> dict[str, Any]:
    place = {"x": 0, "y": y, "w": 24, "h": 1}
    return {
        "id": number,
        "type": "row",
        "title": title,
        "collapsed": False,
        "gridPos": place,
        "panels": [],
    }


def _panel(number: int, panel: Panel, x: int, y: int) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": 8},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": SOURCE,
                "expr": query,
                "legendFormat": legend,
            }
            for index, (query, legend) in enumerate(panel.queries)
        ],
    }


def _source() -> dict[str, Any]:
    return {"name": "source", "label": "Data source", "type": "datasource", "query": "prometheus"}


def _choice(label: str) -> dict[str, Any]:
    query = f"label_values(tintype_model_ready, {label})"
    return {
        "name": label,
        "label": label.capitalize(),
        "type": "query",
        "datasource": SOURCE,
        "query": query,
        "definition": query,
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
    }


def text() -> str:
    """The file's text."""
    return json.dumps(dashboard(), indent=1) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("tintype.json").write_text(text())
