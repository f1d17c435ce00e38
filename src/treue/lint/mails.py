"""Rules about what belongs to a mail as a whole: the way out, the sender, the subject, the preheader, the text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from treue.language.problems import Place, Problem
from treue.lint.rule import LintInput, Rule
from treue.render.templates.workspace_check import Sample

if TYPE_CHECKING:
    from treue.lint.data import Data

LONGEST = 70
"""Characters of a subject that a wide list of mails shows; telephones show about forty."""


def _marketing(sample: Sample) -> bool:
    """Whether some journey sends the mail as more than an order's paper."""
    return bool(sample.categories - {"transactional"})


def _place(sample: Sample) -> Place:
    return Place(sample.message.file, 1, 1)


class NoWayOut(Rule):
    """A marketing mail in which nobody can unsubscribe.

    Mailbox providers show their own button from the header, but the law (UWG section 7) and they ask for a link in the
    mail. Print `links.unsubscribe` or `links.preferences`; the layout is the place for it.
    """

    code = "T610"
    wrong = "<mjml><mj-body><mj-section><mj-column><mj-text>{{ sender.postal_address }}</mj-text></mj-column></mj-section></mj-body></mjml>"
    right = '<mjml><mj-body><mj-section><mj-column><mj-text><a href="{{ links.unsubscribe }}">No more mails</a></mj-text></mj-column></mj-section></mj-body></mjml>'

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield each marketing mail without an unsubscribe link."""
        for sample in files.samples:
            used = files.renderer.names_used(sample.template, "email", sample.message.locale)
            if _marketing(sample) and not used & {"links.unsubscribe", "links.preferences"}:
                message = "Nobody can unsubscribe in this mail."
                yield Problem(
                    _place(sample), self.code, message, 'Write `<a href="{{ links.unsubscribe }}">…</a>`.'
                )


class NoPostalAddress(Rule):
    """A marketing mail that does not say where its sender is to be found.

    Providers and laws (DDG section 5, CAN-SPAM) ask for a postal address. Print `sender.postal_address`, which is in
    treue.yaml; the layout is the place for it.
    """

    code = "T611"
    wrong = '<mjml><mj-body><mj-section><mj-column><mj-text><a href="{{ links.unsubscribe }}">No more mails</a></mj-text></mj-column></mj-section></mj-body></mjml>'
    right = "<mjml><mj-body><mj-section><mj-column><mj-text>{{ sender.postal_address }}</mj-text></mj-column></mj-section></mj-body></mjml>"

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield each marketing mail without the postal address."""
        address = " ".join(files.workspace.settings.sender.postal_address.split())
        for sample in files.samples:
            used = files.renderer.names_used(sample.template, "email", sample.message.locale)
            printed = bool(used & {"sender.postal_address", "workspace.postal_address"})
            if _marketing(sample) and not printed and address not in " ".join(sample.full.text.split()):
                message = "This mail names no postal address."
                yield Problem(_place(sample), self.code, message, "Print `{{ sender.postal_address }}`.")


class LongSubject(Rule):
    """A subject of which the end is cut off.

    A wide window shows about 70 characters, a telephone about 40. Counted for a customer whose texts have six letters. Say the
    first thing first; the rest has its place in the preheader.
    """

    code = "T612"
    wrong = "---\nsubject: What we have thought of for you this week, and for all those who like records as much as you do\n---"
    right = "---\nsubject: What we have thought of for you this week\n---"

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield each subject that is too long."""
        for sample in files.samples:
            subject, value = sample.full.subject, sample.message.places.get("subject")
            if len(subject) > LONGEST and value is not None:
                message = f"This subject has {len(subject)} characters; lists of mails show about {LONGEST}, telephones 40."
                yield Problem(
                    Place(value.file, value.line, value.column, len(value.text)),
                    self.code,
                    message,
                    "Say the first thing first, and the rest in `preheader`.",
                )


class NoPreheader(Rule):
    """A mail without a preheader.

    Lists of mails show a line behind the subject. Without `preheader` it is whatever stands first in the mail: the
    shop's name, or "View in browser".
    """

    code = "T613"
    wrong = "---\nsubject: Hello\npreheader: ''\n---"
    right = "---\nsubject: Hello\npreheader: What happened in the shop this week\n---"

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield each mail without a preheader."""
        for sample in files.samples:
            if sample.full.html and not sample.full.preheader:
                message = "This mail has no preheader; lists show its first words in that place."
                yield Problem(_place(sample), self.code, message, "Add `preheader: …` to the front matter.")


class NothingToRead(Rule):
    """A mail that says nothing without its pictures.

    Its text part is empty: neither words nor an `alt`. Filters take such mails for spam, and whoever does not load pictures
    sees a blank page. Write what the pictures say, in the mail or in `email.txt`.
    """

    code = "T614"
    wrong = '<mjml><mj-body><mj-section><mj-column><mj-image src="https://shop.example/all.png" alt="" /></mj-column></mj-section></mj-body></mjml>'
    right = '<mjml><mj-body><mj-section><mj-column><mj-image src="https://shop.example/all.png" alt="Ten new records" /></mj-column></mj-section></mj-body></mjml>'

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield each mail whose text part is empty."""
        for sample in files.samples:
            if sample.full.html and not sample.full.text.strip():
                message = "Without its pictures this mail says nothing."
                yield Problem(
                    _place(sample), self.code, message, "Give its pictures an `alt`, or write words."
                )
