r"""A mailbox by IMAP (RFC 3501), always over TLS with a verified certificate. Mails that are done are `\Seen`."""

from __future__ import annotations

import imaplib
import ssl
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlsplit

from treue.bounces.files import ReturnedMail
from treue.bounces.mime import READ
from treue.errors import MailboxError

TIMEOUT = 30.0
"""Seconds that the server may take to answer."""
AT_ONCE = 500
"""So many mails are given out in one look."""


class Imap:
    """One folder. `imaps://` is TLS from the start (port 993); `imap://` begins in the clear and must offer STARTTLS."""

    def __init__(self, url: str, context: ssl.SSLContext | None = None) -> None:
        try:
            parts = urlsplit(url)
            self._host, self._port = (
                parts.hostname or "",
                parts.port or (993 if parts.scheme == "imaps" else 143),
            )
        except ValueError:
            parts, self._host = urlsplit(""), ""
        if parts.scheme not in ("imaps", "imap") or not self._host or parts.username is None:
            raise MailboxError("A mailbox by IMAP is written imaps://USER:PASSWORD@HOST/FOLDER.")
        self._user, self._password = unquote(parts.username), unquote(parts.password or "")
        self._folder = unquote(parts.path.strip("/")) or "INBOX"
        self._from_start = parts.scheme == "imaps"
        self._context = context or ssl.create_default_context()
        self._open: imaplib.IMAP4 | None = None

    def __repr__(self) -> str:
        """Leave the password out."""
        return f"Imap({self._host}:{self._port}/{self._folder})"

    def letters(self) -> Iterator[ReturnedMail]:
        r"""Yield up to 500 mails that are not `\Seen`; looking does not make them so."""
        found = self._ask("search", None, "UNSEEN")
        for uid in (found[0] or b"").split()[:AT_ONCE]:
            data = self._ask("fetch", uid.decode(), f"(BODY.PEEK[]<0.{READ}>)")
            raw = next((one[1] for one in data if isinstance(one, tuple)), None)
            if raw is not None:
                yield ReturnedMail(uid.decode(), raw)

    def done(self, letters: Iterable[ReturnedMail]) -> None:
        r"""Mark the mails `\Seen`, a hundred in one command."""
        uids = [letter.name for letter in letters]
        for start in range(0, len(uids), 100):
            self._ask("store", ",".join(uids[start : start + 100]), "+FLAGS.SILENT", r"(\Seen)")

    def close(self) -> None:
        """Log out."""
        opened, self._open = self._open, None
        if opened is not None:
            with suppress(OSError, imaplib.IMAP4.error):
                opened.logout()

    def _ask(self, command: str, *arguments: str | None) -> list[Any]:
        try:
            status, data = self._connection().uid(command, *arguments)  # type: ignore[arg-type]
        except (OSError, imaplib.IMAP4.error) as error:
            self._open = None
            raise self._failed(command, error) from error
        if status != "OK":
            raise MailboxError(f"{self!r} refuses to {command}: {_said(data)}.")
        return data

    def _connection(self) -> imaplib.IMAP4:
        if self._open is None:
            try:
                self._open = self._connected()
            except (OSError, imaplib.IMAP4.error) as error:
                raise self._failed("connect", error) from error
        return self._open

    def _connected(self) -> imaplib.IMAP4:
        opened = self._greeted()
        try:
            if not self._from_start:
                opened.starttls(self._context)
            opened.login(self._user, self._password)
            quoted = self._folder.replace("\\", "\\\\").replace('"', '\\"')
            status, data = opened.select(f'"{quoted}"')
            if status != "OK":
                raise MailboxError(f"{self!r} has no such folder: {_said(data)}.")
        except BaseException:
            with suppress(OSError):
                opened.shutdown()
            raise
        return opened

    def _greeted(self) -> imaplib.IMAP4:
        if self._from_start:
            return imaplib.IMAP4_SSL(self._host, self._port, ssl_context=self._context, timeout=TIMEOUT)
        return imaplib.IMAP4(self._host, self._port, timeout=TIMEOUT)

    def _failed(self, what: str, error: Exception) -> MailboxError:
        said = str(error).replace(self._password, "…") if self._password else str(error)
        return MailboxError(
            f"{self!r} failed to {what}: {said[:300]}. Look at the address, the user and the password."
        )


def _said(data: list[Any]) -> str:
    return b" ".join(one for one in data if isinstance(one, bytes)).decode("ascii", "replace")[:200]
