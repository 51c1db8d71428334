"""The door: who is let in, to do what, and how much of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tintype.access.addresses import caller_name
from tintype.access.keyring import Keyring
from tintype.access.keys import Key, Scope
from tintype.access.limits import Limiter, MemoryLimiter, Rule, Verdict
from tintype.errors import Forbidden, QuotaExceeded, RateLimited, SettingsError, Unauthorized

_MINUTE: Final = 60
_DAY: Final = 86_400
_HOW: Final = "send a key: Authorization: Bearer KEY, or X-API-Key: KEY"


class AccessMode(StrEnum):
    """When a key is asked for. ``auto``: as soon as there is one."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPolicy:
    """When a key is asked for (auto, on, off), and how long a browser stays signed in."""

    mode: str = "auto"
    session_hours: float = 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitPolicy:
    """Requests a minute for each address (0: no limit), wrong keys a minute, and where to count.

    ``redis``: the address of a Redis in which several processes count together; empty: each counts
    by itself.
    """

    address_per_minute: int = 0
    wrong_keys_per_minute: int = 60
    redis: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """What somebody shows: the text of a key or of a session, empty without, and an address."""

    address: str
    key: bytes = b""
    session: bytes = b""


class Door:
    """Lets visitors in by key or session, and takes what they ask from their limits.

    Raises SettingsError for an unknown mode.
    """

    def __init__(
        self, keyring: Keyring, *, policy: AccessPolicy, limits: LimitPolicy, limiter: Limiter
    ) -> None:
        self.keyring = keyring
        self._mode = _mode(policy)
        self._limits = limits
        self._limiter = limiter
        self._wrong = MemoryLimiter()

    @property
    def asks_for_keys(self) -> bool:
        """Whether nobody comes in without a key."""
        return self._mode is AccessMode.ON or (
            self._mode is AccessMode.AUTO and self.keyring.has_keys
        )

    @property
    def stands_open(self) -> bool:
        """Whether there is nothing to check at all."""
        return not self._limits.address_per_minute and not self.asks_for_keys

    def enter(self, visitor: Visitor, scope: Scope) -> Key | None:
        """The key that the visitor comes in with, None where none is asked for.

        Raises Unauthorized for one that is not known by now: see ``enter_late``. Raises Forbidden
        for a missing scope.
        """
        if not self.asks_for_keys:
            return None
        key = self._find(visitor)
        if key is None:
            raise Unauthorized("the API key or the session is not known yet")
        if not key.allows(scope):
            raise _forbidden(key, scope)
        return key

    async def enter_late(self, visitor: Visitor, scope: Scope) -> Key | None:
        """The same for one whom ``enter`` does not know: another process may have let it in.

        Raises Unauthorized, RateLimited for too many wrong keys, Forbidden for a missing scope.
        """
        if not self.asks_for_keys:
            return None
        key = await self.known(visitor)
        if not key.allows(scope):
            raise _forbidden(key, scope)
        return key

    async def known(self, visitor: Visitor) -> Key:
        """The key of the visitor, looked for in the store where it is not in memory yet.

        Raises Unauthorized, RateLimited for too many wrong keys.
        """
        if not visitor.key and not visitor.session:
            raise Unauthorized("this server asks for an API key, and there is none", hint=_HOW)
        key = self._find(visitor)
        if key is None and await self.keyring.look_again():
            key = self._find(visitor)
        if key is not None:
            return key
        self._count_wrong(visitor)
        if visitor.key:
            raise Unauthorized("the API key is unknown, revoked or past its time", hint=_HOW)
        raise Unauthorized("the session has ended", hint="sign in again")

    async def take(self, key: Key | None, address: str, *, cost: int = 1) -> Verdict:
        """Take ``cost`` requests from every limit that holds for the caller."""
        rules = self._rules(key, address)
        verdict = await self._limiter.take(rules, cost=cost) if rules else Verdict()
        if key is not None:
            self.keyring.count(key, cost if verdict.broken is None else 0)
        return verdict

    def _rules(self, key: Key | None, address: str) -> tuple[Rule, ...]:
        rules: list[Rule] = []
        if self._limits.address_per_minute:
            most, bucket = self._limits.address_per_minute, f"address:{caller_name(address)}"
            rules.append(Rule(name="address", bucket=bucket, most=most, seconds=_MINUTE))
        if key is not None and key.per_minute:
            rules.append(
                Rule(name="minute", bucket=f"key:{key.id}", most=key.per_minute, seconds=_MINUTE)
            )
        if key is not None and key.per_day:
            rules.append(
                Rule(
                    name="day",
                    bucket=f"day:{key.id}:{self.keyring.today()}",
                    most=key.per_day,
                    seconds=_DAY,
                    left=self.keyring.seconds_left_today(),
                    used=self.keyring.used_today(key),
                )
            )
        return tuple(rules)

    def _find(self, visitor: Visitor) -> Key | None:
        if visitor.key:
            return self.keyring.find(visitor.key)
        return self.keyring.find_session(visitor.session)

    def _count_wrong(self, visitor: Visitor) -> None:
        most = self._limits.wrong_keys_per_minute
        if not most:
            return
        bucket = caller_name(visitor.address)
        rule = Rule(name="wrong-keys", bucket=bucket, most=most, seconds=_MINUTE)
        check(self._wrong.take_now((rule,)))


def _forbidden(key: Key, scope: Scope) -> Forbidden:
    return Forbidden(
        f"the key {key.name!r} may not do this: it has the scopes"
        f" {', '.join(sorted(key.scopes)) or 'none'}, and {scope} is needed",
        hint="tintype keys add NAME --scope makes a key that may",
    )


def _mode(policy: AccessPolicy) -> AccessMode:
    try:
        return AccessMode(policy.mode)
    except ValueError:
        known = ", ".join(AccessMode)
        raise SettingsError(f"access.mode is {policy.mode!r}, expected one of {known}") from None


def check(verdict: Verdict) -> None:
    """Raises RateLimited or QuotaExceeded unless all limits allow it."""
    rule = verdict.broken
    if rule is None:
        return
    again = max(1, math.ceil(verdict.retry_after))
    if rule.left is not None:
        raise QuotaExceeded(
            f"the key may ask {rule.most} times a day",
            hint="the count starts again at midnight UTC",
            limit=rule.most,
            retry_after=again,
        )
    words = {
        "address": f"{rule.most} requests a minute are allowed from one address",
        "minute": f"the key may ask {rule.most} times a minute",
        "wrong-keys": f"more than {rule.most} wrong keys a minute came from this address",
    }
    raise RateLimited(
        words[rule.name],
        hint=f"try again in {again} s",
        limit=rule.most,
        retry_after=again,
    )
