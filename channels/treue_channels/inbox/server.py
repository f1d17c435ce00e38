"""The inbox's SMTP server: takes every mail, keeps it, sends nothing on. Listens on this machine only."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import sqlite3
import sys
import threading
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP

from treue.errors import ChannelError
from treue_channels.inbox.box import Arrival, InboxStore

SIZE_LIMIT = 32 * 1024 * 1024
"""Bytes of one message; more is refused with 552."""
_LINE = 998
_PLAIN = re.compile(r"<([\w.+=~-]+@[\w.-]+)>[ ]?(.*)", re.ASCII)
_ORPHAN_CHECK = 1.0


class Session(SMTP):
    """aiosmtpd's session with a quicker DATA: it reads blocks instead of lines, ten times as many a second."""

    line_length_limit = 65_536  # of the buffer; the limit of RFC 5321 is checked below

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        """Take the message up to the final dot, undo dot-stuffing (RFC 5321 4.5.2) and hand it on."""
        if await self.check_helo_needed():
            return
        if self.envelope is None or not self.envelope.rcpt_tos:
            await self.push("503 5.5.1 Error: need RCPT command")
            return
        if arg:
            await self.push("501 5.5.4 Syntax: DATA")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        content = await self._content()
        refusal = _refusal(content)
        if refusal is None:
            self.envelope.content = self.envelope.original_content = content
            refusal = await self._call_handler_hook("DATA")
        self._set_post_data_state()  # type: ignore[no-untyped-call]
        await self.push(refusal)

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        found = _PLAIN.fullmatch(arg)
        return (found[1], found[2]) if found else super()._getaddr(arg)

    async def _content(self) -> bytes | None:
        """Return the message without its final dot, or None where it is over the size limit."""
        content = bytearray(b"\r\n")
        tail, size = b"\r\n", 0
        while not tail.endswith(b"\r\n.\r\n"):
            block = await self._block()
            size += len(block)
            tail = (tail + block)[-5:]
            if size <= SIZE_LIMIT + 3:
                content += block
            else:
                content.clear()
        if size > SIZE_LIMIT + 3:
            return None
        return bytes(content[:-3].replace(b"\r\n.", b"\r\n")[2:])

    async def _block(self) -> bytes:
        """Return what has come in up to something that looks like the end."""
        try:
            return bytes(await self._reader.readuntil(b".\r\n"))
        except asyncio.LimitOverrunError as more:
            return bytes(await self._reader.read(more.consumed))


def _refusal(content: bytes | None) -> str | None:
    """Return the answer to a message that RFC 5321 4.5.3.1 does not allow, or None."""
    if content is None:
        return "552 5.3.4 Error: Too much mail data"
    if max(map(len, content.split(b"\r\n"))) > _LINE:
        return "500 5.6.0 Line too long (RFC 5321 4.5.3.1.6)"
    return None


class Keeper:
    """Answers 250 to a mail once its transaction has been committed, and not before."""

    def __init__(self, box: InboxStore) -> None:
        self._box = box

    async def handle_EHLO(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        """Offer PIPELINING: commands are read one by one from whatever has come (RFC 2920)."""
        session.host_name = hostname
        return [*responses[:1], "250-PIPELINING", *responses[1:]]

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """Store the mail once for each recipient. A commit is quick enough to need no thread."""
        sender = envelope.mail_from or ""
        raw = envelope.original_content
        try:
            ids = self._box.add([Arrival("email", rcpt, raw, sender=sender) for rcpt in envelope.rcpt_tos])
        except (sqlite3.Error, ChannelError) as error:
            logging.getLogger(__name__).warning("A mail could not be stored: %s", error)
            return "451 4.3.0 The inbox could not store the message, try again"
        return f"250 2.0.0 Ok: queued as {ids[0]}"


async def serve(box_path: Path, port: int, stop: asyncio.Event) -> None:
    """Listen on 127.0.0.1 until `stop` is set; prints the URL as one line of JSON when ready."""
    loop = asyncio.get_running_loop()
    box = InboxStore(box_path)
    box.count()  # opens it, so that a file that cannot be used is known before the first mail
    keeper = Keeper(box)

    def session() -> Any:
        return Session(
            keeper, hostname="localhost", ident="Treue inbox", data_size_limit=SIZE_LIMIT, loop=loop
        )

    server = await loop.create_server(session, host="127.0.0.1", port=port)
    _say({"smtp": f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"})
    try:
        await stop.wait()
    finally:
        server.close()
        box.close()


def run(box_path: Path, port: int, parent: int | None) -> int:
    """Serve until standard input closes or the process `parent` is no longer ours; return the exit code."""
    try:
        asyncio.run(_until_alone(box_path, port, parent))
    except (OSError, ChannelError) as error:
        _say({"error": f"port {port}: {error.strerror}" if isinstance(error, OSError) else str(error)})
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


async def _until_alone(box_path: Path, port: int, parent: int | None) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def read_to_end() -> None:
        with contextlib.suppress(OSError, ValueError):
            while os.read(sys.stdin.fileno(), 4096):
                pass
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=read_to_end, daemon=True).start()
    orphaned = asyncio.create_task(_watch(parent, stop))
    try:
        await serve(box_path, port, stop)
    finally:
        orphaned.cancel()


async def _watch(parent: int | None, stop: asyncio.Event) -> None:
    """Set `stop` when the parent is gone: a child it forked may hold the other end of our input open."""
    while parent is not None and os.getppid() == parent:
        await asyncio.sleep(_ORPHAN_CHECK)
    if parent is not None:
        stop.set()


def _say(fact: dict[str, str]) -> None:
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()
