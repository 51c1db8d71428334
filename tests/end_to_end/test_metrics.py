"""The metrics of the real program."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.request import urlopen

import tintype
from tintype.metrics import TABLE

COLOURS = Path(tintype.__file__).parent / "demo/models/colours"


def test_a_server_with_everything_on_tells_every_metric_of_the_table(serving, tmp_path: Path):
    """What nobody counts or tells has no family on the page. Redis may be away."""
    everything = {
        "TINTYPE_PICTURES_KEEP": "true",
        "TINTYPE_LIMITS_REDIS": f"unix://{tmp_path}/none.sock",
    }
    with (
        serving("serve", COLOURS, "--state", tmp_path, **everything) as server,
        urlopen(f"{server.address}/metrics", timeout=20) as page,
    ):
        told = re.findall(r"^# HELP (tintype_\w+)", page.read().decode(), re.MULTILINE)
    assert [metric.name for metric in TABLE] == told
