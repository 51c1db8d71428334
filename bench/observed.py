"""What the log line and the metrics of a prediction cost, beside the prediction itself.

Processor time of one process, in one run, so that a busy machine does not change the ratio.

    python bench/observed.py
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import time
from pathlib import Path

import tintype
from tintype.log_setup import LogSettings, set_up_logs
from tintype.metrics import Metrics
from tintype.models.library import find_cards
from tintype.observers import PredictionLog, PredictionMetrics
from tintype.predict import Observer, PredictRequest
from tintype.settings import Settings
from tintype.web.scrape import MetricsPage
from tintype.wiring.plans import make_plans
from tintype.wiring.running import running

DEMO = Path(tintype.__file__).parent / "demo"
ROUNDS, OBSERVED = 200, 5000


async def main() -> None:
    """Ask, then tell the observers the same prediction again and again."""
    with contextlib.redirect_stderr(io.StringIO()):
        lines = set_up_logs(LogSettings(format="json"))
    cards = find_cards((DEMO / "models/cats-dogs",))
    plans = await make_plans(cards, left_out=print)
    asked = PredictRequest(image=(DEMO / "pictures/dog.jpg").read_bytes())
    metrics = Metrics()
    async with running(plans, settings=Settings(), left_out=print) as services:
        prediction = await services.predictor.predict(asked)
        begun = time.process_time()
        for _ in range(ROUNDS):
            prediction = await services.predictor.predict(asked)
        whole = (time.process_time() - begun) / ROUNDS

    def cost(observer: Observer) -> float:
        begun = time.process_time()
        for number in range(OBSERVED):
            observer.answered(asked, prediction)
            if number % 500 == 0:
                lines.drain()
        return (time.process_time() - begun) / OBSERVED

    log, counted = cost(PredictionLog()), cost(PredictionMetrics(metrics))
    page = MetricsPage(metrics)
    begun = time.process_time()
    for _ in range(20):
        page.written(accept="")
    scrape = (time.process_time() - begun) / 20
    told = {
        "prediction_ms": round(whole * 1000, 2),
        "log_line_us": round(log * 1e6, 1),
        "metrics_us": round(counted * 1e6, 1),
        "share": round((log + counted) / whole, 4),
        "scrape_ms": round(scrape * 1000, 2),
    }
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    asyncio.run(main())
