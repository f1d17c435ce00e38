"""What the DNS says of the domain mails come from: SPF, DKIM, DMARC, and where what cannot be delivered comes back to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from treue.delivery.adapters import option
from treue.doctor.channels import is_reserved, leaves
from treue.doctor.dns import DnsUnanswered, Resolver
from treue.doctor.findings import Finding, warning, well, wrong
from treue.doctor.published import Tags, public_key, tags
from treue.doctor.surroundings import Surroundings

_ANYBODY = re.compile(r"(?:^|\s)\+?all(?:\s|$)", re.IGNORECASE)


def check_domain(surroundings: Surroundings) -> Iterator[Finding]:
    """Ask the DNS for what mailbox providers ask it for, where mails leave this machine."""
    settings = surroundings.workspace.settings
    channel, domain = settings.channels.get("email"), settings.sender.email.rpartition("@")[2].lower()
    if channel is None or not leaves(channel):
        yield well("Not asked: no mail leaves this machine.")
        return
    if is_reserved(domain):
        yield well(f"Not asked: {domain} is a domain that nobody can have.")
        return
    ask, bounces = surroundings.resolver, settings.sender.bounces
    yield from _asked(
        "SPF", domain, lambda: check_spf(ask, bounces or domain, sends=channel.adapter == "smtp")
    )
    if selector := option(channel, "dkim_selector"):
        signs_for = option(channel, "dkim_domain").lower()
        key = option(channel, "dkim_key")
        yield from _asked("DKIM", domain, lambda: check_dkim(ask, selector, signs_for, domain, key))
    elif channel.adapter == "smtp":
        yield warning(
            "Treue signs no mails (DKIM), and whether the relay does cannot be seen from here.",
            "Have the relay sign them, or set `dkim_domain`, `dkim_selector` and `dkim_key`.",
        )
    yield from _asked("DMARC", domain, lambda: check_dmarc(ask, domain))
    if bounces:
        yield from _asked("MX", bounces, lambda: check_mx(ask, bounces))


def _asked(what: str, domain: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield what was found; where the DNS cannot be asked, say so."""
    try:
        yield from list(look())
    except DnsUnanswered as error:
        yield warning(
            f"The DNS could not be asked for {what} of {domain}: {error}.",
            "Run it again where there is a name server.",
        )


def check_spf(ask: Resolver, domain: str, *, sends: bool) -> Iterator[Finding]:
    """Look who may send from a domain; `sends` says that mails have it as their return path, not the provider's."""
    found = [text for text in ask.txt(domain) if re.match(r"v=spf1(\s|$)", text, re.IGNORECASE)]
    if len(found) > 1:
        yield wrong(f"{domain} has {len(found)} SPF records, so none counts.", "Make one of them.")
    elif found and _ANYBODY.search(found[0]):
        yield wrong(
            f"The SPF record of {domain} lets anybody send: `{found[0]}`.", "End it with `-all` or `~all`."
        )
    elif found:
        yield well(f"{domain} has an SPF record: {found[0]}")
    elif sends:
        remedy = f'Publish a TXT record at {domain} that names your relay: "v=spf1 include:RELAY -all".'
        yield wrong(f"{domain} has no SPF record; Gmail and others refuse such mails.", remedy)
    else:
        remedy = (
            "Publish the TXT record that your provider names, unless it sends with a return path of its own."
        )
        yield warning(f"{domain} has no SPF record.", remedy)


def check_dkim(ask: Resolver, selector: str, signs_for: str, sender: str, key: str) -> Iterator[Finding]:
    """Look whether the public key of our signatures stands where receivers look for it, and is the one we sign with."""
    name = f"{selector}._domainkey.{signs_for}"
    found = [read for text in ask.txt(name) if "p" in (read := tags(text))]
    ours = public_key(key)
    publish = f'Publish a TXT record at {name}: "{ours}".' if ours else f"Publish the public key at {name}."
    if not found:
        yield wrong(f"There is no DKIM key at {name}: every signature fails.", publish)
        return
    if len(found) > 1:
        yield wrong(f"There are {len(found)} DKIM keys at {name}; receivers may take either.", "Leave one.")
        return
    yield from _key(name, found[0], ours, publish)
    if not (f".{signs_for}".endswith(f".{sender}") or f".{sender}".endswith(f".{signs_for}")):
        yield warning(
            f"Mails from {sender} are signed for {signs_for}, which DMARC does not count.",
            f"Sign for {sender}.",
        )


def _key(name: str, found: Tags, ours: str, publish: str) -> Iterator[Finding]:
    if not found["p"]:
        yield wrong(f"The DKIM key at {name} is revoked (`p=` is empty).", publish)
    elif ours and found["p"] != tags(ours)["p"]:
        yield wrong(f"The DKIM key at {name} is not the one mails are signed with.", publish)
    elif "y" in found.get("t", "").split(":"):
        yield warning(f"The DKIM key at {name} is marked as a test (`t=y`).", "Take `t=y` away.")
    else:
        yield well(f"The DKIM key stands at {name}.")


def check_dmarc(ask: Resolver, domain: str) -> Iterator[Finding]:
    """Look what a domain, or the nearest one above that says so, wants done with mails that are not its own."""
    labels = domain.split(".")
    for above in (".".join(labels[n:]) for n in range(len(labels) - 1)):
        found = [text for text in ask.txt(f"_dmarc.{above}") if re.match(r"v=DMARC1\s*(;|$)", text.strip())]
        if found:
            yield _policy(above, found)
            return
    yield warning(
        f"{domain} has no DMARC record; Gmail, Yahoo and Microsoft want one of whoever sends much.",
        f'Publish a TXT record at _dmarc.{domain}: "v=DMARC1; p=none; rua=mailto:…" to begin with.',
    )


def _policy(domain: str, found: list[str]) -> Finding:
    if len(found) > 1:
        return wrong(f"{domain} has {len(found)} DMARC records, so none counts.", "Make one of them.")
    policy = tags(found[0]).get("p", "").lower()
    if policy not in ("none", "quarantine", "reject"):
        return wrong(
            f"The DMARC record of {domain} has no policy: `{found[0]}`.", "Write `p=none` or stricter in it."
        )
    return well(f"{domain} has a DMARC record with the policy {policy}.")


def check_mx(ask: Resolver, domain: str) -> Iterator[Finding]:
    """Look whether mails to a domain arrive anywhere."""
    servers = [one for one in ask.mx(domain) if one != "."]
    if servers:
        yield well(f"Mails that come back to {domain} go to {servers[0].rstrip('.')}.")
    else:
        yield wrong(
            f"{domain}, which mails come back to, has no mail server (MX): no bounce is ever heard of.",
            f"Publish an MX record at {domain}, or take `sender: {{bounces: …}}` out of treue.yaml.",
        )
