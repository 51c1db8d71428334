"""Alert rules and the dashboard ask for metrics that there are, in PromQL that Prometheus takes."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from itertools import product
from pathlib import Path

import pytest

from tintype.metrics import TABLE, Kind
from tintype.web.scrape import PROCESS

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RULES = DEPLOY / "alerts.yml"
BOARD = DEPLOY / "grafana/tintype.json"
_OF_EVERY_TARGET = {"instance", "job", "le"}


def known() -> dict[str, set[str]]:
    """Every series that can be asked for, with its labels."""
    names: dict[str, set[str]] = {name: set() for name in (*PROCESS, "up")}
    for metric in TABLE:
        endings = ("_bucket", "_sum", "_count") if metric.kind is Kind.HISTOGRAM else ("",)
        names |= {metric.name + ending: set(metric.labels) for ending in endings}
    return names


def queries() -> list[str]:
    """Those of every panel and variable of the dashboard."""
    board = json.loads(BOARD.read_text())
    panels = [each["expr"] for panel in board["panels"] for each in panel.get("targets", [])]
    variables = [each["query"] for each in board["templating"]["list"] if each["type"] == "query"]
    return panels + variables


def strangers(text: str) -> set[str]:
    """Metrics, and labels asked of them in braces, that there are not."""
    names, found = known(), set()
    for name, _, labels in re.findall(r"\b((?:tintype|process)_\w+)(\{([^}]*)\})?", text):
        if name not in names:
            found.add(name)
        asked = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", labels))
        found |= {f"{name}: {label}" for label in asked - names.get(name, set()) - _OF_EVERY_TARGET}
    return found


def test_what_is_not_there_would_be_found():
    """The search itself: a wrong name, a wrong label."""
    assert {"tintype_nix_total"} == strangers("rate(tintype_nix_total[5m])")
    assert {"tintype_requests_total: modle"} == strangers('tintype_requests_total{modle="x"}')


def test_every_alert_asks_for_metrics_that_there_are():
    """By name and by label."""
    assert set() == strangers(RULES.read_text())


@pytest.mark.parametrize("query", queries())
def test_every_query_of_the_dashboard_asks_for_metrics_that_there_are(query):
    """By name and by label."""
    assert "tintype_" in query or "process_" in query
    assert set() == strangers(query)


def test_every_metric_is_on_the_dashboard():
    """What is counted is looked at."""
    asked = " ".join(queries())
    assert [] == [metric.name for metric in TABLE if metric.name not in asked]


def test_the_dashboard_is_what_its_table_makes():
    """Nobody edited the JSON by hand; panels have ids of their own and do not overlap."""
    path = DEPLOY / "grafana/make_dashboard.py"
    spec = importlib.util.spec_from_file_location("make_dashboard", path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    assert made.text() == BOARD.read_text()
    panels = made.dashboard()["panels"]
    assert len(panels) == len({panel["id"] for panel in panels})
    cells = [
        (x, y)
        for panel in panels
        for place in (panel["gridPos"],)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert all(x < 24 for x, _ in cells)


@pytest.fixture
def promtool():
    """Prometheus' own checker, from Debian's package ``prometheus``."""
    path = shutil.which("promtool")
    if path is None:
        pytest.skip("promtool is not installed")

    def run(*arguments: object) -> str:
        command = [path, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert 0 == done.returncode, done.stdout + done.stderr
        return done.stdout

    return run


def test_prometheus_takes_the_configuration_and_the_rules(promtool, tmp_path):
    """Checked by its own tool, which wants to see the key's file."""
    key, file = tmp_path / "key", tmp_path / "prometheus.yml"
    key.write_text("tt_key")
    text = (DEPLOY / "prometheus.yml").read_text()
    file.write_text(text.replace("/run/secrets/tintype_key", str(key)))
    shutil.copy(RULES, tmp_path)
    assert str(key) in file.read_text()
    promtool("check", "config", file)
    promtool("check", "rules", RULES)


def test_prometheus_takes_every_query_of_the_dashboard(promtool, tmp_path):
    """As rules, with Grafana's variables filled in."""
    filled = [
        query.replace("$__rate_interval", "5m").replace("$instance", ".*").replace("$model", ".*")
        for query in queries()
        if not query.startswith("label_values")
    ]
    rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(filled)]
    file = tmp_path / "panels.yml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))  # JSON is YAML
    promtool("check", "rules", file)


def series(name: str, values: str) -> dict[str, str]:
    return {"series": name, "values": values}


STORIES = {
    "TintypeModelNotReady": [series('tintype_model_ready{model="pets",version="1"}', "0x20")],
    "TintypeOverloaded": [
        series('tintype_requests_total{route="/api/predict",status="200"}', "0+90x20"),
        series('tintype_requests_total{route="/api/predict",status="503"}', "0+10x20"),
    ],
    "TintypeRefusesUnread": [series("tintype_shed_total", "0+60x20")],
    "TintypeModelFails": [
        series('tintype_results_total{model="pets",version="1",outcome="ok"}', "0+90x20"),
        series('tintype_results_total{model="pets",version="1",outcome="engine-failed"}', "0+5x20"),
    ],
    "TintypeModelChangeRefused": [
        series('tintype_model_changes_total{model="pets",change="refused"}', "0x10 1x9")
    ],
    "TintypeRecordLosesPredictions": [series("tintype_record_dropped_total", "0+3x20")],
    "TintypePicturesNotKept": [series("tintype_kept_pictures_dropped_total", "0+3x20")],
    "TintypeLogLosesLines": [series("tintype_log_lines_dropped_total", "0+3x20")],
    "TintypeLimitsNotShared": [series("tintype_redis_failures_total", "0+3x20")],
    "TintypeAccuracyFell": [
        series('tintype_accuracy_ratio{model="pets",version="1"}', "0.7x90"),
        series('tintype_feedback{model="pets",version="1",verdict="right"}', "42x90"),
        series('tintype_feedback{model="pets",version="1",verdict="wrong"}', "18x90"),
    ],
    "TintypeManyFiles": [
        series('process_open_fds{job="tintype"}', "90x20"),
        series('process_max_fds{job="tintype"}', "100x20"),
    ],
    "TintypeSlow": [
        series('tintype_stage_seconds_bucket{stage="total",le="2.5"}', "0+0x20"),
        series('tintype_stage_seconds_bucket{stage="total",le="5"}', "0+60x20"),
        series('tintype_stage_seconds_bucket{stage="total",le="+Inf"}', "0+60x20"),
    ],
}
"""Alerts, and what must have been scraped, a value a minute, for each of them to ring."""

LATE = {"TintypeAccuracyFell": "75m"}
"""When those ring that do not ring within 18 minutes."""


def everything() -> list[dict[str, str]]:
    """Each series there is, from two processes of two servers, growing as counters do."""
    found = []
    for name, labels in known().items():
        if name == "up":
            continue
        ends = ["0.1", "+Inf"] if name.endswith("_bucket") else [""]
        for instance, process, end in product("ab", "01", ends):
            told = dict.fromkeys(sorted(labels), "x") | {"instance": instance, "process": process}
            told |= {"stage": "total"} if "stage" in labels else {}
            told |= {"le": end} if end else {}
            inside = ",".join(f'{key}="{value}"' for key, value in told.items())
            found.append(series(f"{name}{{{inside}}}", "1+6x20"))
    return found


def test_every_query_of_the_dashboard_makes_one_of_several_processes(promtool, tmp_path):
    """What is drawn tells no process apart, and draws something."""
    filled = [
        query.replace("$__rate_interval", "5m").replace("$instance", ".*").replace("$model", ".*")
        for query in queries()
        if not query.startswith("label_values")
    ]
    tests = [
        {
            "expr": f"group by (process) ({query})",
            "eval_time": "18m",
            "exp_samples": [{"labels": "{}", "value": 1}],
        }
        for query in filled
    ]
    case = {"interval": "1m", "input_series": everything(), "promql_expr_test": tests}
    file = tmp_path / "panels.yml"
    file.write_text(json.dumps({"rule_files": [], "evaluation_interval": "1m", "tests": [case]}))
    promtool("test", "rules", file)


def of_processes(inputs: list[dict[str, str]]) -> list[dict[str, str]]:
    """The same from each of two processes of one server."""
    found = []
    for number in "01":
        for each in inputs:
            name, _, labels = each["series"].partition("{")
            more = ",".join(filter(None, (f'process="{number}"', labels.rstrip("}"))))
            found.append(series(f"{name}{{{more}}}", each["values"]))
    return found


@pytest.mark.parametrize("alert", [*STORIES])
def test_an_alert_rings(promtool, tmp_path, alert):
    """Once, however many processes there are; and in a quiet server it does not."""
    rings = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)'
    stories = {
        "rings": STORIES[alert],
        "several": of_processes(STORIES[alert]),
        "quiet": [],
    }
    for name, inputs in stories.items():
        case = {
            "interval": "1m",
            "input_series": inputs,
            "promql_expr_test": [
                {
                    "expr": rings,
                    "eval_time": LATE.get(alert, "18m"),
                    "exp_samples": [{"labels": "{}", "value": int(bool(inputs))}],
                }
            ],
        }
        file = tmp_path / f"{name}.yml"
        file.write_text(
            json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [case]})
        )
        promtool("test", "rules", file)
