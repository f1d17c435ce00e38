"""All checks, in the order of the report, and an examination by them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from treue.doctor.channels import check_channels, check_sender
from treue.doctor.database import check_database
from treue.doctor.disk import check_disk
from treue.doctor.domain import check_domain
from treue.doctor.exposure import check_prefect, check_public_url, check_telemetry
from treue.doctor.files import check_files, settings_are_read
from treue.doctor.findings import Finding, Grade, warning, wrong
from treue.doctor.secrets import check_keys, check_modes, check_sources
from treue.doctor.surroundings import Surroundings
from treue.errors import TreueError


@dataclass(frozen=True)
class Check:
    """One thing that is looked at; most cannot be without what `treue.yaml` says."""

    name: str
    look: Callable[[Surroundings], Iterable[Finding]]
    needs_settings: bool = True


CHECKS = (
    Check("files", check_files, needs_settings=False),
    Check("database", check_database),
    Check("disk", check_disk),
    Check("secret files", check_modes, needs_settings=False),
    Check("keys", check_keys, needs_settings=False),
    Check("secrets of others", check_sources),
    Check("public address", check_public_url),
    Check("Prefect", check_prefect, needs_settings=False),
    Check("telemetry", check_telemetry, needs_settings=False),
    Check("sender", check_sender),
    Check("channels", check_channels),
    Check("DNS", check_domain),
)


def examine(surroundings: Surroundings) -> Iterator[Finding]:
    """Yield what each check finds, as it is found. A check that cannot be made is a finding; the others go on."""
    knows = settings_are_read(surroundings.workspace)
    for check in CHECKS:
        if check.needs_settings and not knows:
            yield Finding(
                Grade.warning, "Not looked at, as treue.yaml is wrong.", "Put that right first.", check.name
            )
            continue
        for found in _looked(check, surroundings):
            yield replace(found, check=check.name)


def _looked(check: Check, surroundings: Surroundings) -> Iterator[Finding]:
    try:
        yield from check.look(surroundings)
    except TreueError as error:
        yield wrong(str(error))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        yield warning(
            f"This could not be looked at: {where}{error.strerror or error}.",
            "Run it as the user Treue runs as.",
        )
    except Exception as error:  # a fault of one check keeps nobody from hearing of the others
        yield wrong(f"This could not be looked at: {type(error).__name__}: {error}.", "Report it, please.")
