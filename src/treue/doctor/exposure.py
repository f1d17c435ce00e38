"""What others can reach, and what is told to others."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from urllib.parse import SplitResult, urlsplit

from treue.doctor.channels import leaves
from treue.doctor.findings import Finding, warning, well, wrong
from treue.doctor.surroundings import Surroundings

ADVISORIES = "CVE-2026-7723, GHSA-4hh5-2678-83fx"
"""What strangers can do to a Prefect server that is open to them."""

TREUES_OWN = "TREUE_PREFECT"
"""Names the address of the Prefect server that Treue itself has started, in its child processes."""


def check_public_url(surroundings: Surroundings) -> Iterator[Finding]:
    """Look where customers' links lead."""
    settings = surroundings.workspace.settings
    address = settings.public_url.value(surroundings.environment)
    found = _split(address)
    if found is None or found.scheme not in ("http", "https") or not found.hostname:
        yield wrong(
            f"`{address}` is no address of a web.", "Set TREUE_URL to one like https://treue.example."
        )
    elif is_loopback(found.hostname):
        sent = [name for name, one in settings.channels.items() if leaves(one)]
        said = f"Customers' links lead to {address}, which only this machine reaches"
        if sent:
            yield warning(
                f"{said}, although {' and '.join(sent)} {'is' if len(sent) == 1 else 'are'} sent to others.",
                "Set TREUE_URL to the public address, and put a proxy with TLS before the web.",
            )
        else:
            yield well(f"{said}.")
    elif found.scheme == "http":
        yield wrong(
            f"Customers' links lead to {address}, unencrypted; one-click unsubscribe needs https (RFC 8058).",
            "Put a proxy with TLS before the web, and set TREUE_URL to its https address.",
        )
    else:
        yield well(f"Customers' links lead to {address}.")


def check_prefect(surroundings: Surroundings) -> Iterator[Finding]:
    """Look whether a stranger may reach the Prefect server that is used."""
    environment = surroundings.environment
    address = environment.get("PREFECT_API_URL", "")
    if not address or address == environment.get(TREUES_OWN):
        yield well("Treue starts its own Prefect server, on this machine alone and with an auth string.")
        return
    found = _split(address)
    if found is None or found.scheme not in ("http", "https") or not found.hostname:
        yield wrong(
            "PREFECT_API_URL is no address of a web.", "Set it to one like http://127.0.0.1:4200/api."
        )
    elif is_loopback(found.hostname):
        yield well("PREFECT_API_URL names a Prefect server on this machine.")
    elif not (environment.get("PREFECT_API_AUTH_STRING") or environment.get("PREFECT_API_KEY")):
        yield wrong(
            f"The Prefect server at {found.hostname} is used without an auth string: whoever reaches it can run "
            f"code there ({ADVISORIES}).",
            "Set PREFECT_SERVER_API_AUTH_STRING for the server and the same as PREFECT_API_AUTH_STRING here.",
        )
    elif found.scheme == "http":
        yield warning(
            f"The auth string goes to the Prefect server at {found.hostname} unencrypted.",
            "Reach it by https, or in a network of its own.",
        )
    else:
        yield well(f"The Prefect server at {found.hostname} is asked by https, with an auth string.")


def check_telemetry(surroundings: Surroundings) -> Iterator[Finding]:
    """Look whether anything is told to Prefect's makers. Treue switches that off unless the environment says otherwise."""
    on = list(_telling(surroundings.environment))
    for name in on:
        yield warning(
            f"{name} in the environment lets Prefect tell its makers what is used.",
            "Unset it, and Treue switches that off.",
        )
    if not on:
        yield well("Nothing is told to anybody outside.")


def _telling(environment: Mapping[str, str]) -> Iterator[str]:
    if environment.get("DO_NOT_TRACK", "1").lower() not in ("1", "true", "yes"):
        yield "DO_NOT_TRACK"
    if environment.get("PREFECT_SERVER_ANALYTICS_ENABLED", "false").lower() not in (
        "0",
        "false",
        "no",
        "off",
    ):
        yield "PREFECT_SERVER_ANALYTICS_ENABLED"


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(address: str) -> SplitResult | None:
    try:
        return urlsplit(address)
    except ValueError:
        return None
