"""A look at the folders of models: which there are, and whether they changed since the last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tintype.errors import ModelFileError
from tintype.models.card import Card, VersionRules
from tintype.models.fingerprint import Fingerprint, fingerprint
from tintype.models.library import Find


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A model as it lay in its folder: two that are equal say that nothing changed."""

    rules: VersionRules
    stable: Fingerprint
    canary: Fingerprint | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What lay in the folders at one moment. ``broken``: paths whose models cannot be known."""

    cards: Mapping[str, Card] = field(default_factory=dict)
    seen: Mapping[str, Seen] = field(default_factory=dict)
    broken: Mapping[Path, ModelFileError] = field(default_factory=dict)

    def trouble_with(self, file: Path) -> ModelFileError | None:
        """Why nothing can be known of a file now, None where that can be."""
        within = (
            error
            for path, error in self.broken.items()
            if file == path or file.is_relative_to(path)
        )
        return next(within, None)


def look_at(find: Find) -> Look:
    """What lies there now. A model whose files go meanwhile is told as broken. Reads the disk."""
    broken: dict[Path, ModelFileError] = {}
    cards: dict[str, Card] = {}
    seen: dict[str, Seen] = {}
    for card in find(broken=broken.__setitem__):
        try:
            seen[card.name] = Seen(
                rules=card.versions,
                stable=fingerprint(card),
                canary=None if card.canary is None else fingerprint(card.canary),
            )
        except OSError as error:
            broken[card.file] = ModelFileError(f"{card.file}: {error.strerror or error}")
            continue
        cards[card.name] = card
    return Look(cards=cards, seen=seen, broken=broken)
