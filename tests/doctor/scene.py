"""A workspace with surroundings made to order: settings, environment, and answers of the DNS as data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from treue.doctor import Finding, examine
from treue.doctor.dns import DnsUnanswered
from treue.doctor.surroundings import Surroundings
from treue.vocabulary.workspace import load

RELAY = "email: {adapter: smtp, url: '${SMTP_URL:-}'}"
PLENTY = 50_000_000_000


@dataclass
class Answers:
    """A resolver that knows what it was told: texts, mail servers, and names nobody answers for."""

    texts: Mapping[str, list[str]] = field(default_factory=dict)
    servers: Mapping[str, list[str]] = field(default_factory=dict)
    silent: bool = False
    asked: list[str] = field(default_factory=list)

    def txt(self, name: str) -> list[str]:
        return self._of(self.texts, name)

    def mx(self, name: str) -> list[str]:
        return self._of(self.servers, name)

    def _of(self, known: Mapping[str, list[str]], name: str) -> list[str]:
        self.asked.append(name)
        if self.silent:
            raise DnsUnanswered("no name server answered within 5 seconds")
        return known.get(name, [])


@dataclass
class Shop:
    """A workspace's folder, and what surrounds it."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    resolver: Answers = field(default_factory=Answers)
    free: Callable[[Path], int] = lambda _: PLENTY
    file_system: Callable[[Path], str] = lambda _: "ext4"

    def write(
        self,
        channels: str = RELAY,
        *more: str,
        email: str = "hello@shop.de",
        sender: str = "",
        postal: str = "Kai 1",
    ) -> Shop:
        """Write treue.yaml."""
        lines = (
            "workspace: shop",
            "timezone: Europe/Berlin",
            f"sender: {{name: Shop, email: {email}, postal_address: '{postal}'{sender}}}",
            f"channels: {{{channels}}}" if channels else "",
            *more,
        )
        self.root.mkdir(exist_ok=True)
        (self.root / "treue.yaml").write_text("\n".join(lines), encoding="utf-8")
        return self

    @property
    def surroundings(self) -> Surroundings:
        from treue.channel import installed_adapters

        workspace = load(self.root, installed_adapters)
        return Surroundings(workspace, self.environment, self.resolver, self.free, self.file_system)

    def found(self, check: str) -> list[Finding]:
        """Return what one check of the whole examination finds."""
        return [one for one in examine(self.surroundings) if one.check == check]


def grades(findings: Iterable[Finding]) -> list[str]:
    """Return how bad each finding is; whatever is not well has a remedy or says it."""
    return [one.grade.value for one in findings]


def said(findings: Iterable[Finding]) -> str:
    """Return everything that was said, with the remedies."""
    return "\n".join(f"{one.sentence} {one.remedy}" for one in findings)
