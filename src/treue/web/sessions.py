"""Signing in: a link's token, which is good once and for an hour, and the session it begins, which lasts a week.

Both are `UNTIL-NUMBER-MAC`: when it ends, in seconds since 1970; 10 random bytes; 16 bytes of HMAC-SHA256 under a key
of its own purpose. The keys come from the workspace's secret and its API key together: a customer has links that the
secret has signed, a shop has the API key, and neither makes a session of what they have. Webs that share both believe
each other's tokens. What is spent, a link that was used or a session that was ended, is an empty file in the state
folder for as long as it would have been good.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from treue.render.mail.links import workspace_secret
from treue.web.guard import api_key

LINK_LASTS = timedelta(hours=1)
SESSION_LASTS = timedelta(days=7)

Purpose = Literal["sign-in", "session"]
_TOKEN = re.compile(r"((\d{10,11})-[0-9a-f]{20})-([0-9a-f]{32})", re.ASCII)
_SPENT = "spent"


class Sessions:
    """Makes links' tokens and sessions, checks them, and ends them. `state` is the workspace's state folder."""

    def __init__(self, state: Path, secret: bytes, key: str) -> None:
        self._spent = state / _SPENT
        self._keys: dict[Purpose, bytes] = {
            purpose: hashlib.blake2b(f"{purpose}\0{key}".encode(), key=secret[:64], digest_size=32).digest()
            for purpose in ("sign-in", "session")
        }
        # Browsers keep one cookie of a name for all ports of a host: each workspace has its own.
        self.cookie = f"treue-{hashlib.sha256(self._keys['session']).hexdigest()[:8]}"

    @classmethod
    def of(cls, state: Path) -> Sessions:
        """Return the sessions of the workspace with this state folder."""
        return cls(state, workspace_secret(state), api_key(state)[0])

    def link_token(self, now: datetime) -> str:
        """Return a token for a link that signs in once."""
        return self._make("sign-in", now + LINK_LASTS)

    def begin(self, token: str, now: datetime) -> str | None:
        """Return a new session for a link's token, which is spent then; None where it is not good (any more)."""
        number = self._read("sign-in", token, now)
        if number is None or not self._spend(number, now):
            return None
        return self._make("session", now + SESSION_LASTS)

    def lasts(self, session: str, now: datetime) -> bool:
        """Whether a session was begun here, has not come to its end and was not ended."""
        number = self._read("session", session, now)
        return number is not None and not (self._spent / number).exists()

    def end(self, session: str, now: datetime) -> None:
        """End a session before its time, wherever its cookie has got to."""
        number = self._read("session", session, now)
        if number is not None:
            self._spend(number, now)

    def _make(self, purpose: Purpose, until: datetime) -> str:
        number = f"{until.timestamp():.0f}-{secrets.token_hex(10)}"
        return f"{number}-{self._mac(purpose, number)}"

    def _read(self, purpose: Purpose, token: str, now: datetime) -> str | None:
        """Return the number of a valid, unexpired token of ours, compared in constant time."""
        match = _TOKEN.fullmatch(token)
        if match is None or not hmac.compare_digest(match[3], self._mac(purpose, match[1])):
            return None
        return match[1] if now.timestamp() < int(match[2]) else None

    def _mac(self, purpose: Purpose, number: str) -> str:
        return hmac.digest(self._keys[purpose], number.encode(), "sha256")[:16].hex()

    def _spend(self, number: str, now: datetime) -> bool:
        """Note a token as spent, and forget those that have ended by themselves; False where it was spent before."""
        self._spent.mkdir(mode=0o700, exist_ok=True)
        for old in self._spent.glob("[0-9]*-*"):
            if int(old.name.partition("-")[0]) < now.timestamp():
                old.unlink(missing_ok=True)
        try:
            (self._spent / number).touch(mode=0o600, exist_ok=False)
        except FileExistsError:
            return False
        return True
