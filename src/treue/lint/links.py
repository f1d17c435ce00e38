"""Rules about links: where they lead, and what people see of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from treue.language.problems import Problem
from treue.lint.mail_files import DATA, Element, MailFile
from treue.lint.rule import LintInput, Rule
from treue.render.templates.page_links import links_in

if TYPE_CHECKING:
    from treue.lint.data import Data

_PLACEHOLDER = re.compile(
    r"#?|(?:https?:)?//(?:[\w-]+\.)*(?:example\.(?:com|org|net)|localhost|127\.0\.0\.1|0\.0\.0\.0|yourdomain\.\w+)(?:[:/?#].*)?"
    r"|(?:https?://)?(?:todo|tbd|xxx+|fixme|url|link)(?![\w.-]).*",
    re.IGNORECASE | re.DOTALL,
)
_ADDRESS = re.compile(r"(?:https?://|mailto:|tel:|sms:|#)", re.IGNORECASE)


def _constant(link: Element, file: MailFile) -> str | None:
    """Return a link's address as written, or None where a tag has a part in it."""
    address = link.attributes["href"].strip()
    begin = link.attribute("href")
    written = file.text[begin : begin + len(link.attributes["href"])]
    return None if DATA in address or "{%" in written else address


class LeadsNowhere(Rule):
    """A link to nowhere: empty, a `#` with nothing behind it, or an address left over from writing.

    `example.com`, `localhost`, `TODO` and the like are for drafts; a customer gets an error page. A `#name` needs an
    element with that `id` in the same mail.
    """

    code = "T603"
    wrong = '<mj-section><mj-column><mj-button href="https://example.com/sale">Sale</mj-button></mj-column></mj-section>'
    right = '<mj-section><mj-column><mj-button href="https://shop.example/sale">Sale</mj-button></mj-column></mj-section>'

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield each link with a placeholder address or an anchor that is not there."""
        for file in files.mail_files:
            marks = {one.attributes.get(name, "") for one in file.elements for name in ("id", "name")}
            for link in file.links():
                address = _constant(link, file)
                if address is None:
                    continue
                if _PLACEHOLDER.fullmatch(address) or (address[:1] == "#" and address[1:] not in marks):
                    place = file.place(link.attribute("href"), max(1, len(address)))
                    message = (
                        f"This link leads nowhere: `{address}`."
                        if address
                        else "This link leads nowhere; its address is empty."
                    )
                    yield Problem(place, self.code, message, "Put the address there, or take the link out.")


class NoAddress(Rule):
    """An address that means nothing in a mail.

    A mail has no page that `sale.html` could be beside, and programs open only the web, mail, telephone and SMS:
    `https:`, `http:`, `mailto:`, `tel:`, `sms:`.
    """

    code = "T604"
    wrong = '<mj-section><mj-column><mj-button href="/sale">Sale</mj-button></mj-column></mj-section>'
    right = '<mj-section><mj-column><mj-button href="https://shop.example/sale">Sale</mj-button></mj-column></mj-section>'

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield each link whose address means nothing in a mail."""
        for file in files.mail_files:
            for link in file.links():
                address = _constant(link, file)
                if address and not _ADDRESS.match(address) and not _PLACEHOLDER.fullmatch(address):
                    place = file.place(link.attribute("href"), len(address))
                    message = f"`{address[:60]}` leads nowhere from a mail."
                    yield Problem(place, self.code, message, "Write the whole address, from `https://` on.")


class WithoutWords(Rule):
    """A link in which there is nothing to read.

    Neither words nor a picture with an `alt`: while pictures are blocked, as they are at first in most programs, nobody can
    see it, and who listens to the mail never can.
    """

    code = "T605"
    wrong = '<mj-section><mj-column><mj-image href="https://shop.example" src="https://shop.example/a.png" alt="" /></mj-column></mj-section>'
    right = '<mj-section><mj-column><mj-image href="https://shop.example" src="https://shop.example/a.png" alt="Our shop" /></mj-column></mj-section>'

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield each link without words."""
        for file in files.mail_files:
            for link in file.links():
                if not link.words.strip() and "{%" not in file.text[link.at : link.at + len(link.tag)]:
                    message = "There is nothing to read in this link."
                    hint = "Give its picture an `alt`, or write words into it."
                    yield Problem(file.place(link.at, 1 + len(link.name)), self.code, message, hint)


class SameWords(Rule):
    """The same words for links that lead to different places, in one mail.

    Who hears a list of links, or looks at the text part, cannot tell them apart. `Read more` may stand there twice: say
    of what.
    """

    code = "T606"
    wrong = '<mj-section><mj-column><mj-text><a href="https://shop.example/a">More</a> <a href="https://shop.example/b">More</a></mj-text></mj-column></mj-section>'
    right = '<mj-section><mj-column><mj-text><a href="https://shop.example/a">More jazz</a> <a href="https://shop.example/b">More soul</a></mj-text></mj-column></mj-section>'

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield the second of two such links, as a customer would get them."""
        for sample in files.samples:
            file = next((one for one in files.mail_files if one.name == sample.message.file), None)
            written = _ambiguous(file) if file else {}
            for words in _ambiguous_in(sample.full.html) if written else ():
                if file and words in written:
                    first, second = written[words]
                    line = file.place(first.at).line
                    message = f"`{words}` leads somewhere else here than in line {line}."
                    yield Problem(
                        file.place(second.at, 1 + len(second.name)),
                        self.code,
                        message,
                        "Say in the words where each leads.",
                    )


class EmptyForSome(Rule):
    """A link that is empty for customers who lack what its address is made of.

    `href="{% if customer.shop %}{{ customer.shop }}{% endif %}"` leaves a link to nowhere. Put the condition around the whole
    link, or give the address an `{% else %}`.
    """

    code = "T607"
    wrong = '<mj-section><mj-column><mj-button href="{% if customer.city %}https://shop.example/{{ customer.city }}{% endif %}">Shop</mj-button></mj-column></mj-section>'
    right = '<mj-section><mj-column><mj-button href="https://shop.example/{% if customer.city %}{{ customer.city }}{% endif %}">Shop</mj-button></mj-column></mj-section>'

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield each link whose address can vanish, where it does for a made-up customer."""
        vanishing = [(file.template, list(self._vanishing(file))) for file in files.mail_files]
        for sample in files.samples:
            of_it = [
                one for template, found in vanishing if template in ("", sample.template) for one in found
            ]
            if of_it and any(not href.strip() for href, _ in links_in(sample.sparse.html)):
                yield from of_it

    def _vanishing(self, file: MailFile) -> Iterator[Problem]:
        for link in file.links():
            begin = link.attribute("href")
            written = file.text[begin : begin + len(link.attributes["href"])]
            outside = re.sub(r"\{%-?\s*if\b.*?\{%-?\s*endif\s*-?%\}", "", written, flags=re.DOTALL)
            if "{%" in written and not outside.strip() and "{% else" not in written:
                message = "This link is empty for customers who lack what its condition asks for."
                yield Problem(
                    file.place(begin, len(written)),
                    self.code,
                    message,
                    "Put the condition around the whole link.",
                )


def _ambiguous(file: MailFile) -> dict[str, tuple[Element, Element]]:
    """Return words on links with different addresses in a file, with the first link and the first other one."""
    found: dict[str, tuple[Element, Element]] = {}
    first: dict[str, Element] = {}
    for link in file.links():
        words = " ".join(link.words.split())
        before = first.setdefault(words, link)
        if words and before.attributes["href"] != link.attributes["href"]:
            found.setdefault(words, (before, link))
    return found


def _ambiguous_in(html: str) -> list[str]:
    places: dict[str, set[str]] = {}
    for href, words in links_in(html):
        if words:
            places.setdefault(words, set()).add(href)
    return [words for words, found in places.items() if len(found) > 1]
