"""The resolver, against a name server of the test's own on loopback."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from typing import Any

import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest

from treue.doctor.dns import DnsResolver, DnsUnanswered

ZONE = {
    ("shop.de.", "TXT"): ['"v=spf1 " "-all"', '"other"'],
    ("b.shop.de.", "MX"): ["20 second.shop.de.", "10 first.shop.de."],
    ("empty.shop.de.", "A"): ["192.0.2.1"],
}


class _Server(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        data, reply_to = self.request
        query = dns.message.from_wire(data)
        (question,) = query.question
        name, kind = question.name.to_text(), dns.rdatatype.to_text(question.rdtype)
        answer = dns.message.make_response(query)
        if name == "broken.shop.de.":
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif not any(known == name for known, _ in ZONE):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif found := ZONE.get((name, kind)):
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *found))
        reply_to.sendto(answer.to_wire(), self.client_address)


@pytest.fixture
def ask() -> Iterator[DnsResolver]:
    with socketserver.ThreadingUDPServer(("127.0.0.1", 0), _Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        asked: Any = dns.resolver.Resolver(configure=False)
        asked.nameservers, asked.port = ["127.0.0.1"], server.server_address[1]
        try:
            yield DnsResolver(asked)
        finally:
            server.shutdown()
            thread.join()


def test_texts_come_with_their_pieces_put_together(ask: DnsResolver) -> None:
    assert sorted(ask.txt("shop.de")) == ["other", "v=spf1 -all"]


def test_mail_servers_come_with_the_first_choice_first(ask: DnsResolver) -> None:
    assert ask.mx("b.shop.de") == ["first.shop.de.", "second.shop.de."]


def test_a_name_that_is_not_there_or_has_no_such_record_has_none(ask: DnsResolver) -> None:
    assert (ask.txt("nobody.shop.de"), ask.mx("empty.shop.de")) == ([], [])


def test_a_server_that_fails_is_no_answer(ask: DnsResolver) -> None:
    with pytest.raises(DnsUnanswered, match="refused or failed"):
        ask.txt("broken.shop.de")


def test_a_name_that_is_none_is_no_answer(ask: DnsResolver) -> None:
    with pytest.raises(DnsUnanswered):
        ask.txt("a..b")
