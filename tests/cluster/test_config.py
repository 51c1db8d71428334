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


def test_every_node_listens_everywhere_unless_told_where():
    """The default of one machine would be reached by nobody."""
    usual = yaml.safe_load(serve_config(("/models",), Settings()))
    told = yaml.safe_load(serve_config(("/models",), Settings(), host="::"))
    assert ("0.0.0.0", "::") == (usual["http_options"]["host"], told["http_options"]["host"])


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


@pytest.mark.parametrize("host", ["10.0.0.7", "127.0.0.1"])
def test_what_was_said_about_where_to_listen_stands_in_it(tmp_path, host):
    """On the command line or in the settings file, also where it is what a server does anyway."""
    file = tmp_path / "tintype.toml"
    file.write_text(f'[server]\nhost = "{host}"\n')
    for words in (["--host", host], ["--config", str(file)]):
        assert host == _printed("/models", *words)["http_options"]["host"]


def test_paths_are_whole_and_without_dots(tmp_path):
    """Links that lie in their way stay, as they may lead elsewhere on a node."""
    (tmp_path / "here").mkdir()
    (tmp_path / "current").symlink_to("here")
    printed = _printed(
        "../current", "../gone/../cats", "--state", "../state", cwd=tmp_path / "here"
    )
    (app,) = printed["applications"]
    assert [f"{tmp_path}/current", f"{tmp_path}/cats"] == app["args"]["models"]
    assert {"state.folder": f"{tmp_path}/state"} == app["args"]["settings"]


def _printed(*words: str, cwd: Path | None = None) -> dict:
    program = Path(sys.executable).with_name("tintype")
    command = [program, "serve", *words, "--on", "ray", "--print-config"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    assert 0 == done.returncode, done.stderr
    return yaml.safe_load(done.stdout)
