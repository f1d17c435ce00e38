"""What goes out: one message, rendered and ready for the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple


class Mailbox(NamedTuple):
    """A name, which may be empty, and an e-mail address. Both are safe to be put in a header."""

    name: str
    address: str


@dataclass(frozen=True)
class Attachment:
    """A file that goes with a mail; with a `content_id`, a picture that the HTML shows as `cid:…`."""

    name: str
    media_type: str
    content: bytes = field(repr=False)
    content_id: str = ""


@dataclass(frozen=True)
class Mail:
    """An e-mail in its parts, for providers that build the MIME themselves. All values are safe for headers.

    `headers` are those beside From, To, Reply-To and Subject, such as List-Unsubscribe.
    """

    sender: Mailbox
    to: Mailbox
    subject: str
    text: str
    html: str = ""
    reply_to: Mailbox | None = None
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True)
class Outgoing:
    """One message, rendered and ready for the wire.

    `key` is the idempotency key, the same on every attempt, and what a provider hands back in its callbacks. For
    e-mail, `sender` is the envelope's; a channel that declares `mime` gets `raw`, the whole RFC 5322 message with
    CRLF line ends, all others get `mail`. For SMS and push `text` is the body, `category` says what it is for
    (promotional, relational, transactional), and `title` and `link` are what push adds. `expires_at` is when it may not
    be shown to anybody any more, for providers that can be told so. For a webhook `to` is the address, `raw` the
    document, and `data` has its `method` and the name of the environment variable with its `secret`. `tags` are the
    journey, the template and the category, for the provider's statistics: nothing about the person.
    """

    key: str
    to: str
    sender: str = ""
    raw: bytes = b""
    text: str = ""
    title: str = ""
    link: str = ""
    data: Mapping[str, str] = field(default_factory=dict)
    mail: Mail | None = None
    expires_at: datetime | None = None
    category: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
