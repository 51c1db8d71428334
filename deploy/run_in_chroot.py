"""Runs a Dockerfile's RUN and COPY lines in clean Debian chroots, where there is no Docker engine.

Each stage begins as a copy of a folder that debootstrap has made of the same Debian release:

    debootstrap --variant=minbase trixie /tmp/trixie
    python3 deploy/run_in_chroot.py deploy/Dockerfile --base /tmp/trixie --into /tmp/stages

Needs root. The last stage is left in ``INTO/last`` to be tried: see docs/guides/deploy.md.
"""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """Every instruction with its words, continued lines joined, comments left out."""
    lines = [line for line in dockerfile.read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [
        (name.upper(), words.strip())
        for name, _, words in (line.partition(" ") for line in joined.splitlines() if line.strip())
    ]


class Stages:
    """The stages of one build, a folder each."""

    def __init__(self, base: Path, into: Path, *, context: Path, authority: Path | None) -> None:
        self._base = base
        self._authority = authority
        self._into = into
        self._context = context
        self._root = into
        self._folder = "/"
        self.seconds: list[tuple[float, str]] = []

    def begin(self, words: str) -> None:
        """``FROM image [AS name]``: a fresh copy of the base."""
        _, _, name = words.partition(" AS ")
        self._root, self._folder = self._into / (name or "last"), "/"
        subprocess.run(["cp", "-a", str(self._base), str(self._root)], check=True)
        # What a container engine puts there: names of hosts.
        shutil.copy("/etc/resolv.conf", self._root / "etc/resolv.conf")

    def change(self, words: str) -> None:
        """``WORKDIR folder``."""
        self._folder = words
        (self._root / words.lstrip("/")).mkdir(parents=True, exist_ok=True)

    def copy(self, words: str) -> None:
        """``COPY [--from=stage] what... where``."""
        *what, where = shlex.split(words)
        source = self._context
        if what[0].startswith("--from="):
            source = self._into / what.pop(0).removeprefix("--from=")
        target = self._root / str(Path(self._folder) / where).lstrip("/")
        for name in what:
            found = source / name.lstrip("/")
            into = target / found.name if where.endswith("/") else target
            into.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-aT", str(found), str(into)], check=True)

    def run(self, words: str) -> None:
        """``RUN line``, by the shell, as root, with an environment as bare as an engine's."""
        begun = time.monotonic()
        line = f"cd {shlex.quote(self._folder)} && {words}"
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
        if self._authority:  # the package index stands behind a company's own
            shutil.copy(self._authority, self._root / "authority.pem")
            environment["PIP_CERT"] = "/authority.pem"
        command = ["chroot", str(self._root), "/bin/sh", "-c", line]
        subprocess.run(command, check=True, env=environment)
        self.seconds.append((time.monotonic() - begun, words))


def main() -> None:
    """Build, and tell what was run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("dockerfile", type=Path)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--authority", type=Path, help="certificates to trust beside Debian's")
    given = parser.parse_args()
    given.into.mkdir(parents=True)
    stages = Stages(given.base, given.into, context=Path.cwd(), authority=given.authority)
    do = {"FROM": stages.begin, "WORKDIR": stages.change, "COPY": stages.copy, "RUN": stages.run}
    for name, words in instructions(given.dockerfile):
        if name in do:
            do[name](words)
    for seconds, words in stages.seconds:
        sys.stdout.write(f"{seconds:6.1f} s  RUN {words}\n")


if __name__ == "__main__":
    main()
