"""What the DNS says of a name, asked through a port so that checks need no network in tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from treue.errors import TreueError

if TYPE_CHECKING:
    from dns.resolver import Answer
    from dns.resolver import Resolver as Asked

SECONDS = 5.0
"""How long an answer may take, over all servers and attempts."""


class DnsUnanswered(TreueError):  # noqa: N818
    """The DNS could not be asked, or gave no answer to go by; the text says why, as the end of a sentence."""


class Resolver(Protocol):
    """Answers questions about names. Raises DnsUnanswered where there is no telling."""

    def txt(self, name: str) -> list[str]:
        """Return the texts that stand at a name; none where there is no such name."""

    def mx(self, name: str) -> list[str]:
        """Return the mail servers of a domain, the first choice first; none where there is no such name."""


class DnsResolver:
    """Asks the name servers that this machine uses, or those of `asked`."""

    def __init__(self, asked: Asked | None = None) -> None:
        self._asked = asked

    def txt(self, name: str) -> list[str]:
        """Return the texts that stand at a name, each with its pieces put together."""
        found = self._ask(name, "TXT")
        return [b"".join(one.strings).decode("utf-8", "replace") for one in found] if found else []

    def mx(self, name: str) -> list[str]:
        """Return the mail servers of a domain, the first choice first."""
        found = self._ask(name, "MX")
        by_choice = sorted(found, key=lambda one: one.preference) if found else []
        return [one.exchange.to_text() for one in by_choice]

    def _ask(self, name: str, kind: str) -> Answer | None:
        from dns import exception, resolver

        try:
            if self._asked is None:
                self._asked = resolver.Resolver()
            return self._asked.resolve(name, kind, lifetime=SECONDS, raise_on_no_answer=False, search=False)
        except resolver.NXDOMAIN:
            return None
        except resolver.NoNameservers as error:
            raise DnsUnanswered("the name servers refused or failed") from error
        except exception.Timeout as error:
            raise DnsUnanswered(f"no name server answered within {SECONDS:.0f} seconds") from error
        except (exception.DNSException, OSError) as error:
            raise DnsUnanswered(str(error) or type(error).__name__) from error
