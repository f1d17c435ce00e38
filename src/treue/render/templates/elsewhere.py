"""What other tools write in their templates, and what is meant by it here.

Somebody who brings a template along leaves merge tags in it that are plain text to us: `*|FNAME|*` would go out as it
stands. So they are problems, each with our form of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice

from treue.render.problem import FINDINGS, nearest

OURS = ("customer", "event", "data", "links", "sender")
RECORDS = {
    "customer": ("contact", "contacts", "person", "user", "subscriber", "recipient", "profile", "member", "lead", "client"),
    "event": ("order", "trigger", "trigger_event", "payload", "transaction"),
    "links": ("link", "urls", "url"),
}  # fmt: skip
"""What our records are called elsewhere."""

WORDS = {
    "elsif": "Write {% elif … %}.", "elseif": "Write {% elif … %}.", "unless": "Write {% if not … %}.",
    "endunless": "Write {% endif %}.", "assign": "Write {% set name = … %}.", "case": "Write {% if … %} and {% elif … %}.",
    "when": "Write {% elif … %}.", "capture": "Write {% set name = … %}.",
}  # fmt: skip
"""Tags of Liquid that we have another word for."""

_PARTS = {
    "fname": "customer.first_name", "firstname": "customer.first_name", "vorname": "customer.first_name",
    "givenname": "customer.first_name", "lname": "customer.last_name", "lastname": "customer.last_name",
    "surname": "customer.last_name", "nachname": "customer.last_name", "email": "customer.email",
    "emailaddr": "customer.email", "emailaddress": "customer.email", "phone": "customer.phone", "sms": "customer.phone",
    "unsub": "links.unsubscribe", "unsubscribe": "links.unsubscribe", "unsubscribeurl": "links.unsubscribe",
    "unsubscribelink": "links.unsubscribe", "unsuburl": "links.unsubscribe", "optout": "links.unsubscribe",
    "updateprofile": "links.preferences", "preferences": "links.preferences", "preferencesurl": "links.preferences",
    "manageemailpreferences": "links.preferences", "archive": "links.view", "webversion": "links.view",
    "viewemailurl": "links.view", "viewinbrowser": "links.view", "webversionurl": "links.view",
    "currentyear": "now.year", "year": "now.year",
    "address": "sender.postal_address", "listaddress": "sender.postal_address",
    "listaddresshtml": "sender.postal_address", "companyaddress": "sender.postal_address",
}  # fmt: skip
"""Merge tags by their bare letters, and what says the same here."""

_BLOCK = re.compile(r"(?:if|ifnot|else|elseif|end|unless)(?:\b|:|$)", re.IGNORECASE)
_NAME = r"[A-Za-z_][\w.:|=' -]{0,60}?"
_TAG = re.compile(
    rf"\*\|\s*(?P<stars>{_NAME})\s*\|\*"  # Mailchimp
    rf"|%%\s*(?P<percents>{_NAME})\s*%%"  # Salesforce
    rf"|\[\[\s*(?P<brackets>{_NAME})\s*\]\]"
    rf"|<%[=-]?\s*(?P<angles>{_NAME})\s*%>"  # ERB and its like
    r"|\$\{\s*(?P<dollar>[A-Za-z_][\w.]{0,60})\s*\}"
    r"|\{\$(?P<mailerlite>[A-Za-z_][\w.]{0,60})\}"
    r"|(?<![\w%])%(?P<percent>recipient\.\w{1,60}|[A-Z][A-Z_]{2,60}|[a-z]+_[a-z_]{1,60})%(?!\w)"  # ActiveCampaign, Mailgun
    r"|\{(?P<mautic>(?:contact|lead)field=[\w-]{1,60})\}"
    r"|(?<!\{)\{\s*(?P<one>(?:customer|event|data|links|sender)\.\w{1,60}|[a-z]+_[a-z_]{1,60}|[A-Z][A-Z_]{2,60})\s*\}(?!\})"
)


def merge_tags(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield where in a text without our own tags a merge tag of another tool stands, the tag, and what to write."""
    for found in islice(_TAG.finditer(text), FINDINGS):
        name = next(part for part in found.groups() if part is not None)
        yield found.start(), found[0], _ours(found[0], name)


def _ours(tag: str, name: str) -> str:
    if _BLOCK.match(name):
        return "Write {% if … %}, {% elif … %}, {% else %} and {% endif %}."
    bare = re.split(r"[|:]", name)[0].strip()
    word = bare.rsplit("=", 1)[-1].rsplit(".", 1)[-1].strip()
    own = bare.split(".")[0] in OURS and "." in bare
    meant = bare if own else _PARTS.get(_letters(name)) or _PARTS.get(_letters(word)) or ""
    ours = f"{{{{ {meant} }}}}" if meant else "{{ customer.… }}, with the attribute that is meant"
    return f"Write {ours}; as a text of its own it is {{{{ '{tag}' }}}}."


def _letters(word: str) -> str:
    return re.sub(r"[\W_]", "", word.lower())


def meant(name: str, parts: Mapping[str, frozenset[str] | None], spelt: str = "") -> str:
    """Return what an unknown name most likely means: `customer.first_name` for `first_name`; empty where nothing is near.

    `parts` are the names at hand with their declared parts, `spelt` is the name with the parts it was written with.
    """
    for root, others in RECORDS.items():
        if name.lower() in others and root in parts:
            rest = spelt.partition(".")[2].split(".")[0]
            return f"Did you mean {root}.{_part(rest, parts[root]) or rest or '…'}?"
    exact = [f"{root}.{name}" for root, known in parts.items() if known and name in known]
    if exact:
        return f"Did you mean {' or '.join(dict.fromkeys(exact))}?"
    alias = _PARTS.get(_letters(name), "")
    root, _, part = alias.partition(".")
    if alias and root in parts and (parts[root] is None or part in (parts[root] or ())):
        return f"Did you mean {alias}?"
    near = nearest(name, list(parts))
    if near:
        return near
    roots = [root for root, known in parts.items() if known and _part(name, known)]
    return f"Did you mean {roots[0]}.{_part(name, parts[roots[0]])}?" if roots else ""


def _part(name: str, known: frozenset[str] | None) -> str:
    """Return the declared part nearest to a name."""
    if not known:
        return ""
    alias = _PARTS.get(_letters(name), "").partition(".")[2]
    if alias in known:
        return alias
    found = nearest(name.lower(), known)
    return found.removeprefix("Did you mean ").removesuffix("?")
