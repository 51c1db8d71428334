"""Everything a person can set, read from the outside once.

The order, later wins: the defaults beside the code they govern, ``tintype.toml``, environment
variables ``TINTYPE_<SECTION>_<NAME>``, flags. An unknown name is refused with the nearest known.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeAlias

from tintype.access.door import AccessPolicy, LimitPolicy
from tintype.batching.policy import BatchPolicy
from tintype.engines.engine import EngineOptions
from tintype.errors import SettingsError
from tintype.imaging.limits import DecodeLimits
from tintype.log_setup import LogSettings
from tintype.models.cluster_policy import ClusterPolicy
from tintype.models.keeper import WatchPolicy
from tintype.predict import PredictPolicy
from tintype.record.policy import PicturePolicy, RecordPolicy
from tintype.tracing import TracingSettings
from tintype.web.compat.policy import CompatPolicy
from tintype.web.inputs import InputPolicy
from tintype.web.uploads import UploadLimits

_PREFIX = "TINTYPE_"
_FILE_VARIABLE = "TINTYPE_CONFIG"
_NOT_SETTINGS = frozenset(
    {
        _FILE_VARIABLE,
        "TINTYPE_TEST_DATA",
        "TINTYPE_CHROMIUM",
        "TINTYPE_NO_SKIPS",
        "TINTYPE_WRITE_FORMATS",
        "TINTYPE_WRITE_GATEWAY",
    }
)
"""The one that names the file, and those of the test suite, which share the prefix."""
_MEBIBYTE = 1 << 20
_COVER = "***"
_SECRET_NAME = re.compile(r"secret|password|token", re.IGNORECASE)
_PASSWORD_IN_ADDRESS = re.compile(r"(://[^:/?#@]*):.*@")
_PASSWORD_IN_QUERY = re.compile(
    r"([?&][^=&]*(?:password|secret|token)[^=&]*)=[^&#]*", re.IGNORECASE
)

_WORDS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}

Value: TypeAlias = str | int | float | bool | tuple[str, ...]
"""What a setting may be: the kind of its default decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where to listen, in how many processes, and whom to believe about callers.

    ``port`` 0 takes any free one. ``trusted_proxies`` are addresses or networks; they tell the
    caller's address in ``forwarded_header``, ``x-forwarded-for`` or ``forwarded``. Raises
    SettingsError for no process at all.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    processes: int = 1
    trusted_proxies: tuple[str, ...] = ()
    forwarded_header: str = "x-forwarded-for"

    def __post_init__(self) -> None:
        if self.processes < 1:
            raise SettingsError(f"server.processes is {self.processes}, expected 1 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySettings:
    """Memory set aside for decoded pictures in flight, in MiB."""

    pictures_mib: int = 1024

    @property
    def picture_bytes(self) -> int:
        """The same in bytes."""
        return self.pictures_mib * _MEBIBYTE


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSettings:
    """The folder of what lasts: the record, keys. Empty: the user's, see ``state_folder``."""

    folder: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, a section each."""

    server: ServerSettings = field(default_factory=ServerSettings)
    access: AccessPolicy = field(default_factory=AccessPolicy)
    limits: LimitPolicy = field(default_factory=LimitPolicy)
    uploads: UploadLimits = field(default_factory=UploadLimits)
    inputs: InputPolicy = field(default_factory=InputPolicy)
    images: DecodeLimits = field(default_factory=DecodeLimits)
    memory: MemorySettings = field(default_factory=MemorySettings)
    requests: PredictPolicy = field(default_factory=PredictPolicy)
    batching: BatchPolicy = field(default_factory=BatchPolicy)
    engine: EngineOptions = field(default_factory=EngineOptions)
    compat: CompatPolicy = field(default_factory=CompatPolicy)
    log: LogSettings = field(default_factory=LogSettings)
    models: WatchPolicy = field(default_factory=WatchPolicy)
    state: StateSettings = field(default_factory=StateSettings)
    record: RecordPolicy = field(default_factory=RecordPolicy)
    pictures: PicturePolicy = field(default_factory=PicturePolicy)
    tracing: TracingSettings = field(default_factory=TracingSettings)
    cluster: ClusterPolicy = field(default_factory=ClusterPolicy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting as a person names it, with the value that holds."""

    section: str
    name: str
    value: Value

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return f"{_PREFIX}{self.section}_{self.name}".upper()


def settings_of_one(settings: Settings, *, of: int) -> Settings:
    """The settings for one of ``of`` processes on a machine: what is set aside there is shared out.

    Each can hold at least the largest body that is allowed, and one page.
    """
    uploads, compat = settings.uploads, settings.compat
    in_flight = max(uploads.max_bytes_in_flight // of, uploads.max_body_bytes)
    return replace(
        settings,
        memory=replace(settings.memory, pictures_mib=math.ceil(settings.memory.pictures_mib / of)),
        uploads=replace(uploads, max_bytes_in_flight=min(in_flight, uploads.max_bytes_in_flight)),
        compat=replace(
            compat,
            score_bytes=compat.score_bytes // of,
            score_pages=max(1, compat.score_pages // of),
        ),
    )


def state_folder(settings: Settings, *, environment: Mapping[str, str] = os.environ) -> Path:
    """The folder of what lasts: as set, else the user's own by the XDG Base Directory rules."""
    if settings.state.folder:
        return Path(settings.state.folder)
    home = environment.get("XDG_STATE_HOME", "")
    base = Path(home) if home.startswith("/") else Path.home() / ".local" / "state"
    return base / "tintype"


def all_settings(settings: Settings) -> Iterator[Setting]:
    """Every setting with its value, section by section."""
    for section in fields(settings):
        part = getattr(settings, section.name)
        for each in fields(part):
            yield Setting(section=section.name, name=each.name, value=getattr(part, each.name))


def read_settings(
    *,
    file: Path | None = None,
    environment: Mapping[str, str] = os.environ,
    flags: Mapping[str, object] | None = None,
) -> Settings:
    """Read file, environment and flags (``section.name`` -> value, None ignored), in that order.

    Without ``file`` the variable ``TINTYPE_CONFIG`` may name one. None is looked for: a folder
    that somebody was handed must not be able to say where a server listens. Raises SettingsError
    naming where the value came from and what was expected.
    """
    return read_with_sources(file=file, environment=environment, flags=flags)[0]


def read_with_sources(
    *,
    file: Path | None = None,
    environment: Mapping[str, str] = os.environ,
    flags: Mapping[str, object] | None = None,
) -> tuple[Settings, Mapping[str, str]]:
    """The same, with where each setting was said (``section.name`` -> words).

    What nobody said is missing there.
    """
    settings = Settings()
    sources: dict[str, str] = {}
    if file is None and environment.get(_FILE_VARIABLE):
        file = Path(environment[_FILE_VARIABLE])
    for where, pairs in (
        (str(file), _from_file(file) if file else {}),
        ("the environment", _from_environment(environment)),
        ("the command line", {k: v for k, v in (flags or {}).items() if v is not None}),
    ):
        for dotted, value in pairs.items():
            settings = _with(settings, dotted, value, where=where)
            sources[dotted] = where
    return settings, sources


def shown(setting: Setting) -> Value:
    """The value with every password in it covered: of an address, or of a name that says so."""
    if not isinstance(setting.value, str) or not setting.value:
        return setting.value
    if _SECRET_NAME.search(setting.name):
        return _COVER
    covered = _PASSWORD_IN_ADDRESS.sub(rf"\1:{_COVER}@", setting.value)
    return _PASSWORD_IN_QUERY.sub(rf"\1={_COVER}", covered)


def _from_file(path: Path) -> dict[str, object]:
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"cannot read the settings file {path}: {error}") from error
    pairs: dict[str, object] = {}
    for section, part in table.items():
        if not isinstance(part, dict):
            raise SettingsError(f"{path}: {section!r} must be a section such as [server]")
        pairs.update({f"{section}.{name}": value for name, value in part.items()})
    return pairs


def _from_environment(environment: Mapping[str, str]) -> dict[str, object]:
    known = {setting.variable: setting for setting in all_settings(Settings())}
    pairs: dict[str, object] = {}
    for variable, value in environment.items():
        if not variable.startswith(_PREFIX) or variable in _NOT_SETTINGS:
            continue
        if variable not in known:
            raise SettingsError(f"unknown variable {variable}{_nearest(variable, list(known))}")
        pairs[f"{known[variable].section}.{known[variable].name}"] = value
    return pairs


def _with(settings: Settings, dotted: str, value: object, *, where: str) -> Settings:
    section, _, name = dotted.partition(".")
    known = [f"{setting.section}.{setting.name}" for setting in all_settings(settings)]
    if dotted not in known:
        raise SettingsError(f"unknown setting {dotted!r} in {where}{_nearest(dotted, known)}")
    part: Any = getattr(settings, section)
    converted = _converted(value, like=getattr(part, name), dotted=dotted, where=where)
    changes: dict[str, Any] = {section: replace(part, **{name: converted})}
    return replace(settings, **changes)


def _converted(value: object, *, like: Value, dotted: str, where: str) -> Value:
    converted = _read_as(value, like=like)
    if converted is None:
        raise SettingsError(
            f"{dotted} = {value!r} in {where}: expected {_wanted(like)}",
        )
    return converted


def _read_as(value: object, *, like: Value) -> Value | None:
    """``value`` as the kind of ``like``, None where it is none. Variables hold text only."""
    if isinstance(like, str):
        return value if isinstance(value, str) and (value.strip() or not like) else None
    if isinstance(like, bool):
        return _WORDS.get(str(value).strip().lower())
    if isinstance(like, tuple):
        return _texts(value)
    kind = int if isinstance(like, int) else float
    try:
        number = kind(str(value))
    except ValueError:
        return None
    return number if number >= 0 else None


def _texts(value: object) -> tuple[str, ...] | None:
    """A list of texts; in a variable or a flag, with commas between them."""
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        return None
    return tuple(item.strip() for item in items if item.strip())


def _wanted(like: Value) -> str:
    if isinstance(like, str):
        return "a text, not empty" if like else "a text"
    if isinstance(like, bool):
        return "true or false"
    if isinstance(like, tuple):
        return "a list of texts (in a variable: commas between them)"
    return ("a whole number" if isinstance(like, int) else "a number") + ", 0 or more"


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"
