"""Settings come from file, environment and flags, later wins, unknown names are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tintype.errors import SettingsError
from tintype.settings import (
    Setting,
    Settings,
    all_settings,
    read_settings,
    read_with_sources,
    settings_of_one,
    shown,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tintype.toml"
    path.write_text('[server]\nport = 9000\nhost = "0.0.0.0"\n[images]\nmax_pixels = 1000\n')
    return path


def test_defaults_hold_where_nothing_is_said():
    """No file, no variable, no flag: the defaults."""
    assert Settings() == read_settings(environment={})


def test_later_sources_win(file: Path):
    """Flags over environment over file over defaults, setting by setting."""
    settings = read_settings(
        file=file, environment={"TINTYPE_SERVER_PORT": "9001"}, flags={"server.port": 9002}
    )
    assert (9002, "0.0.0.0", 1000) == (
        settings.server.port,
        settings.server.host,
        settings.images.max_pixels,
    )


def test_a_flag_not_given_changes_nothing(file: Path):
    """None means the flag was not there."""
    settings = read_settings(file=file, environment={}, flags={"server.port": None})
    assert 9000 == settings.server.port


@pytest.mark.parametrize("setting", [*all_settings(Settings())], ids=lambda s: s.variable)
def test_every_setting_has_a_variable(setting):
    """Each setting can be moved by its environment variable."""
    word = {
        "TINTYPE_ENGINE_DEVICE": "cuda",
        "TINTYPE_ENGINE_PRECISION": "bf16",
        "TINTYPE_LOG_FORMAT": "json",
        "TINTYPE_LOG_LEVEL": "error",
    }.get(setting.variable, "here")
    given, expected = {
        str: (word, word),
        bool: ("on", True),
        int: ("1", 1),
        float: ("1", 1.0),
        tuple: ("a, b", ("a", "b")),
    }[type(setting.value)]
    settings = read_settings(environment={setting.variable: given})
    moved = {s.variable: s.value for s in all_settings(settings)}[setting.variable]
    assert expected == moved


def test_unknown_variable_names_the_nearest():
    """A slip of the finger is answered with the known name."""
    with pytest.raises(SettingsError, match="did you mean TINTYPE_SERVER_PORT"):
        read_settings(environment={"TINTYPE_SERVER_PROT": "1"})


def test_unknown_key_names_the_nearest(file: Path):
    """The same for the file."""
    file.write_text("[server]\nprot = 1\n")
    with pytest.raises(SettingsError, match=r"server\.port"):
        read_settings(file=file, environment={})


@pytest.mark.parametrize("value", ["many", "-1", "1.5"])
def test_a_value_of_the_wrong_kind_is_told(value: str):
    """The message says which setting, where from and what was expected."""
    with pytest.raises(SettingsError, match=r"server\.port = .* the environment: expected a whole"):
        read_settings(environment={"TINTYPE_SERVER_PORT": value})


def test_a_broken_file_is_an_error_in_words(file: Path):
    """No traceback for a file that is no TOML."""
    file.write_text("= 1")
    with pytest.raises(SettingsError, match="cannot read the settings file"):
        read_settings(file=file, environment={})


@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_host_is_refused(value):
    """A variable that was left empty must not open the server to every network."""
    with pytest.raises(SettingsError, match=r"server\.host = .* in the environment"):
        read_settings(environment={"TINTYPE_SERVER_HOST": value})


def test_the_file_may_be_named_by_a_variable(file: Path):
    """A flag that names another goes before it; none is looked for."""
    variable = {"TINTYPE_CONFIG": str(file)}
    assert 9000 == read_settings(environment=variable).server.port
    other = file.with_name("other.toml")
    other.write_text("[server]\nport = 9005\n")
    assert 9005 == read_settings(file=other, environment=variable).server.port


def test_where_each_value_was_said_is_told(file: Path):
    """The last who said it; what nobody said is missing."""
    _, sources = read_with_sources(
        file=file, environment={"TINTYPE_SERVER_PORT": "9001"}, flags={"server.host": "::1"}
    )
    assert {
        "server.port": "the environment",
        "server.host": "the command line",
        "images.max_pixels": str(file),
    } == sources


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("redis", "redis://:hush@h:6379/0", "redis://:***@h:6379/0"),
        ("database", "postgresql://u:hu@sh@h/n", "postgresql://u:***@h/n"),
        ("database", "postgresql://h/n?password=hush&a=1", "postgresql://h/n?password=***&a=1"),
        (
            "database",
            "postgresql://h/n?a=1&sslPassword=hush",
            "postgresql://h/n?a=1&sslPassword=***",
        ),
        ("s3_secret", "hush", "***"),
        ("s3_secret", "", ""),
        ("host", "127.0.0.1", "127.0.0.1"),
        ("folder", "/a:b@c", "/a:b@c"),
    ],
)
def test_passwords_are_covered(name, value, expected):
    """In addresses, and wherever the name says that it is one."""
    assert expected == shown(Setting(section="x", name=name, value=value))


def test_processes_share_what_is_set_aside_on_a_machine():
    """Memory for pictures, for bodies and for pages; everything else is each one's own."""
    whole = Settings()
    one = settings_of_one(whole, of=4)
    assert 256 << 20 == one.memory.picture_bytes
    assert 128 << 20 == one.uploads.max_bytes_in_flight
    assert (16 << 20, 64) == (one.compat.score_bytes, one.compat.score_pages)
    assert whole == replace(one, memory=whole.memory, uploads=whole.uploads, compat=whole.compat)


def test_one_of_many_processes_still_takes_the_largest_body():
    """Its share alone would be too small for what each request may bring."""
    one = settings_of_one(Settings(), of=64)
    assert one.uploads.max_body_bytes == one.uploads.max_bytes_in_flight


def test_no_process_at_all_is_refused():
    """The message names the setting and what it takes."""
    with pytest.raises(SettingsError, match=r"server\.processes is 0, expected 1 or more"):
        read_settings(environment={}, flags={"server.processes": 0})
