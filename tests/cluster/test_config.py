"""The config that ``--print-config`` prints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tintype.cluster.config import serve_config
from tintype.settings import Settings, read_settings


def test_it_says_what_was_said_and_no_more():
    """Settings that are as always are left out, and where to listen stands at the top."""
    settings = read_settings(environment={}, flags={"server.port": 9000, "batching.max_batch": 4})
    config = yaml.safe_load(serve_config(("/models",), settings))
    assert 9000 == config["http_options"]["port"]
    (app,) = config["applications"]
    assert {"models": ["/models"], "settings": {"batching.max_batch": 4}} == app["args"]


def test_the_last_bound_is_beyond_ours():
    """A body may take its time, then the request its own."""
    settings = Settings()
    config = yaml.safe_load(serve_config(("/models",), settings))
    ours = settings.uploads.max_body_seconds + settings.requests.deadline_seconds
    assert ours < config["http_options"]["request_timeout_s"]


def test_secrets_stay_out():
    """They are named, so that they are set on the nodes."""
    address = "postgresql://tintype:hidden@database/tintype"
    text = serve_config(("/m",), read_settings(environment={}, flags={"record.database": address}))
    assert "hidden" not in text
    assert "TINTYPE_RECORD_DATABASE holds a secret" in text


def test_nothing_imports_ray_but_the_choice_of_it():
    """Neither the server, nor printing a config."""
    program = (
        "import sys, tintype.cli.serve, tintype.cli.server, tintype.cluster.config;"
        "sys.exit('ray' in sys.modules)"
    )
    assert 0 == subprocess.run([sys.executable, "-c", program], check=False).returncode


@pytest.mark.parametrize("flag", ["--print-config", "--address=auto"])
def test_flags_that_belong_to_ray_alone_are_refused_without_it(flag):
    """A flag that would be passed over is worse than none."""
    program = Path(sys.executable).with_name("tintype")
    done = subprocess.run(
        [program, "serve", "models", flag], capture_output=True, text=True, check=False
    )
    assert (1, True) == (done.returncode, "--on ray" in done.stderr)


def test_the_command_line_prints_it():
    """With absolute paths, and without looking into them: they are those of the nodes."""
    program = Path(sys.executable).with_name("tintype")
    words = [program, "serve", "/models", "--on", "ray", "--print-config"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert serve_config(("/models",), Settings()) == done.stdout, done.stderr
