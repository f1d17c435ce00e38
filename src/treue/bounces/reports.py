"""What a bounce reports of which recipient: delivery statuses (RFC 3464), else what its text says."""

from __future__ import annotations

import re

from treue.bounces.mime import MimeMail, fields_of, one_line, parse
from treue.bounces.verdict import Said

_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\-]{1,100}@[A-Za-z0-9.\-_\[\]]{1,255}")
_QUOTE = re.compile(r"^> ?(?=[^>]|$|>>> )", re.MULTILINE)
_RETURNED = re.compile(
    r"(?:received|return-path|dkim-signature|x-received|delivered-to|arc-seal):\s"
    r"|(?:the |below |this is a |here is a |copy of |your )?(?:original|returned|unsent|undelivered|rejected|bounced|failed) (?:message|mail|e-?mail|header|text)s?(?:$| (?:follows|header|begins|text|body|below|is|attached))"
    r"|(?:this is|here is|below is|below this line is|included is|attached is) (?:a )?(?:copy|the (?:original|first|beginning))"
    r"|message headers? follow|original (?:message|headers?) follow|the (?:header|text|body) of (?:the|your)|(?:header|body) of (?:the )?original"
    r"|message (?:text|contents?|header|body) follow|unsent message (?:below|follows)|urspr[uü]ngliche nachricht|start of (?:returned|original)"
)
"""How the line begins, in lower case and without ornaments, from which on a bounce only brings back our message."""
_ORNAMENTS = "-=_*~+#>: \t"
_LEAD = re.compile(
    r"^[\s>\"'<*|.:\-]{0,40}(?:(?:to|recipient(?: address)?|failed|address|rcpt|undeliverable (?:to|address)|invalid final delivery userid|delivery failed \d{1,5} attempts|unknown user|rcpt to|[245]\d\d(?:[ -][245]\.\d{1,3}\.\d{1,3})?):?\s{0,20})?[\"'<]{0,2}$",
    re.IGNORECASE,
)
_OTHERS = re.compile(
    r"(?:from|sender|sent by|by|contact|postmaster|please|return-path|reply-to|message-id|id|dear|hello|hi|hola|via|original-mail-from)[\s:=]{0,6}[\"'<(]{0,3}$",
    re.IGNORECASE,
)
_SOURCES = (
    "message/rfc822",
    "text/rfc822-headers",
    "message/rfc822-headers",
    "message/global",
    "message/global-headers",
)
_MANY = 50


def fields(mail: MimeMail) -> list[Said]:
    """Return what the delivery statuses in a mail say, a group of fields for each recipient.

    Where there is none, they may stand in a text, or in a bounce that was passed on as an attachment.
    """
    within = (
        part.text for part in mail.parts if part.kind == "message/rfc822" and "delivery-status" in part.text
    )
    return (
        _statuses(mail)
        or _distinct(
            [
                said
                for part in mail.parts
                if part.kind.startswith("text/")
                for said in _groups(unquoted(part.text))
            ]
        )
        or next(
            (found for text in within if (found := _statuses(parse(text.encode("utf-8", "replace"))))), []
        )
    )


def _statuses(mail: MimeMail) -> list[Said]:
    reported = [part.text for part in mail.parts if part.kind.endswith("delivery-status")]
    return _distinct([said for text in reported for said in _groups(text)])


def unquoted(text: str) -> str:
    """Return a text without the marks that quote it once; those of an SMTP transcript (`>>>`) stay."""
    return _QUOTE.sub("", text)


def _groups(text: str) -> list[Said]:
    """Return what each group of fields says. A recipient's group ends at a blank line, or where the next one is named."""
    lines = [line if line[:1] in " \t" else line.strip() for line in text.split("\n")]
    found, group = list[Said](), dict[str, str]()
    for name, value in [*fields_of(lines, gaps=True), ("", "")]:
        if not name or (name == "final-recipient" and "final-recipient" in group):
            found += _said(group)
            group = {}
        group.setdefault(name, value)
    return found[:_MANY]


def _said(group: dict[str, str]) -> list[Said]:
    names = [
        name for name in ("final-recipient", "original-recipient", "x-actual-recipient") if name in group
    ]
    if not names or not ({"action", "status", "diagnostic-code"} & group.keys()):
        return []
    address = next((found for name in names if (found := address_in(group[name]))), "")
    if not address:
        address = one_line(group[names[0]].rpartition(";")[2].strip(" <>"), 254)
    action = group.get("action", "").split("(")[0].strip().lower()
    return [Said(address, action, group.get("status", ""), _reason(group.get("diagnostic-code", "")))]


def _reason(diagnostic: str) -> str:
    """Return a diagnostic without the name of its type."""
    kind, found, rest = diagnostic.partition(";")
    return rest.strip() if found and len(kind) < 30 and " " not in kind.strip() else diagnostic


def _distinct(found: list[Said]) -> list[Said]:
    """Return one of each recipient: the first that says something."""
    by_address: dict[str, Said] = {}
    for said in found:
        before = by_address.get(said.recipient.lower())
        if before is None or (not before.diagnostic and said.diagnostic):
            by_address[said.recipient.lower()] = said
    return list(by_address.values())[:_MANY]


def told(mail: MimeMail) -> str:
    """Return what a bounce says in its own words, without the message it returns."""
    texts = [part.text for part in mail.parts if part.kind == "text/plain"] or [
        part.text for part in mail.parts if part.kind == "text/html"
    ]
    return next((own for text in texts if (own := _own(text))), "")[:40000]


def _own(text: str) -> str:
    return text[: _end(text)].strip("\n")


def _end(text: str) -> int:
    """Return where the message begins that a bounce brings back."""
    at = 0
    for line in text.split("\n"):
        if line and _RETURNED.match(line[:300].lower().strip(_ORNAMENTS)):
            return at
        at += len(line) + 1
    return len(text)


def returned(mail: MimeMail) -> str:
    """Return the source of the message a bounce is about, as far as it brings it back."""
    whole = [part.text for part in mail.parts if part.kind in _SOURCES]
    own = [part.text for part in mail.parts if part.kind == "text/plain"]
    return "\n\n".join([*whole, *(text[_end(text) :] for text in own)])


def address_in(text: str) -> str:
    """Return the first address in a text, or nothing."""
    match = _ADDRESS.search(text[:2000])
    return match[0].strip(".'`")[:254] if match else ""


def from_text(mail: MimeMail, ours: set[str]) -> list[Said]:
    """Return what the text of a bounce says of each recipient; `ours` are addresses that are none of them."""
    text, failed = unquoted(told(mail)), _failed(mail)
    listed = {one.lower() for one in failed}
    places = _places(text, listed, ours) or _places(text, listed, set())
    if not places:
        return [Said(recipient=one, text=text) for one in failed or ([""] if text else [])]
    blocks = _blocks(text, places)
    if len(blocks) == 1:
        return [Said(recipient=next(iter(blocks)), text=text)]
    return [Said(recipient=address, text=block) for address, block in blocks.items()][:_MANY]


def _failed(mail: MimeMail) -> list[str]:
    """Return the recipients that Exim and Gmail name in the header."""
    named = [one for value in mail.fields.get("x-failed-recipients", []) for one in value.split(",")]
    return [one.strip("<> ") for one in named if "@" in one]


def _blocks(text: str, places: list[tuple[str, int]]) -> dict[str, str]:
    """Return each recipient's part of a text: until the next one begins, or a line where a transcript names several."""
    blocks = dict[str, str]()
    ends = [start for _, start in places[1:]] + [len(text)]
    for (address, start), end in zip(places, ends, strict=True):
        said = text[start:end]
        said = said.partition("\n")[0] if said[:3].isdigit() else said
        blocks[address] = f"{blocks.get(address, '')}\n{said}"
    return blocks


def _places(text: str, failed: set[str], ours: set[str]) -> list[tuple[str, int]]:
    """Return (address, where) of the addresses that begin a recipient's part of the text."""
    leading, anywhere = list[tuple[str, int]](), list[tuple[str, int]]()
    for match in _ADDRESS.finditer(text):
        address = match[0].strip(".'`")
        start = text.rfind("\n", 0, match.start()) + 1
        before = text[max(start, match.start() - 120) : match.start()]
        if failed and address.lower() not in failed:
            continue
        leads = start >= match.start() - 120 and _LEAD.fullmatch(before) is not None
        service = address.lower().startswith(("postmaster@", "mailer-daemon@"))
        if not failed and (address.lower() in ours or service or (not leads and _OTHERS.search(before))):
            continue
        (leading if leads else anywhere).append((address, start))
    return (leading or anywhere[:1])[:_MANY]


def field(source: str, name: str) -> str:
    """Return a field of a message's source, wherever in it, or nothing."""
    match = re.search(rf"^[>\s]{{0,20}}{name}:(.{{0,500}})", source, re.IGNORECASE | re.MULTILINE)
    return match[1].strip() if match else ""
