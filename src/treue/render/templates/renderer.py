"""From a template, a channel and a customer to a ready message. Input record in, output record out, never raises.

Templates are read and compiled once and kept until `refresh`; what did not change keeps its compiled form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from treue.channel import Attachment
from treue.errors import RenderError
from treue.render.problem import UNAVAILABLE, Fault, RenderFailure, TemplateProblem
from treue.render.sandbox import sandbox
from treue.render.templates import enclosures
from treue.render.templates.compiled import CompiledPart, compile_part
from treue.render.templates.enclosures import Enclosure
from treue.render.templates.names import NameSchema
from treue.render.templates.template import MessageTemplate, Template, category, chain, load_template

_SENDER = re.compile(r"(.*?)\s*<([^<>]*)>\s*", re.DOTALL)
_ADDRESS = re.compile(r"[^\s@<>]+@[^\s@<>]+")
_BLANK = re.compile(r"\s+")
_TRAILING = re.compile(r"(?<![ \t])[ \t]+(?=\n)")
_INDENT = re.compile(r"\n +")
_GAP = re.compile(r"\n{3,}")
_APP_LINK = re.compile(r"(?!javascript:|data:|vbscript:|file:)[a-z][a-z0-9+.-]*:\S+", re.IGNORECASE)


@dataclass(frozen=True)
class Rendered:
    """A message ready for its channel. What a channel does not have is empty.

    `from_name` and `from_address` are set where the template overrides the workspace's sender. `attachments` are all
    files inside the mail, those that its HTML shows included; `pictures` are what the HTML shows, by the address that
    it has there.
    """

    channel: str
    text: str
    subject: str = ""
    preheader: str = ""
    html: str = ""
    title: str = ""
    link: str = ""
    from_name: str = ""
    from_address: str = ""
    category: str = ""
    locale: str = ""
    attachments: tuple[Attachment, ...] = ()
    pictures: tuple[tuple[str, Enclosure], ...] = ()


@dataclass(frozen=True)
class _Compiled:
    message: MessageTemplate
    fields: Mapping[str, CompiledPart]
    text: CompiledPart
    html: CompiledPart | None
    locale: str
    attachments: tuple[Attachment, ...]
    pictures: tuple[tuple[str, Enclosure], ...]

    def parts(self) -> list[CompiledPart]:
        return [*self.fields.values(), self.text, *([self.html] if self.html else [])]


@dataclass
class _Entry:
    template: Template
    compiled: dict[tuple[str, str], _Compiled] = field(default_factory=dict)
    reads: dict[str, frozenset[tuple[str, ...]]] = field(default_factory=dict)
    problems: tuple[TemplateProblem, ...] = ()


class Renderer:
    """Renders the templates of one workspace.

    `templates` is the folder `templates/`; `locale` and `timezone` are the workspace's, for customers who have
    none; `schema` is what it declares (without one, every attribute and property is taken). Pictures that are hosted
    have addresses under `public_url`, and are given to `keep` before a message shows them.
    """

    def __init__(
        self,
        templates: Path,
        *,
        locale: str = "en",
        timezone: str = "UTC",
        schema: NameSchema | None = None,
        public_url: str = "",
        keep: Callable[[Enclosure], None] | None = None,
    ) -> None:
        self.templates = templates
        self.locale = locale
        self.timezone = timezone
        self.schema = schema or NameSchema()
        self.public_url = public_url.rstrip("/")
        self._keep = keep
        self._names = self.schema.parts()
        self._entries: dict[str, _Entry] = {}

    def elsewhere(self, templates: Path) -> Renderer:
        """Return a renderer of templates in another folder, which takes whatever names they use: they are older than the schema."""
        return Renderer(
            templates, locale=self.locale, timezone=self.timezone, public_url=self.public_url, keep=self._keep
        )

    def render(
        self, channel: str, template: str, context: Mapping[str, Any], locale: str = ""
    ) -> Rendered | RenderFailure:
        """Return the message of `template` for `channel`, or why there is none.

        `context` holds customer, event, journey, step, data, now, links, orders, sender, workspace as plain
        data; `locale` is the customer's (or, where empty, that in `customer`).
        """
        try:
            customer = context.get("customer") or {}
            wanted = locale or str(customer.get("locale") or "") or self.locale
            compiled = self._choose(self._entry(template), channel, wanted)
            if isinstance(compiled, RenderFailure):
                return compiled
            return self._render(compiled, template, context, wanted)
        except Exception as error:
            return _unavailable(template, error)

    def render_variant(
        self, channel: str, template: str, context: Mapping[str, Any], variant: str, locale: str
    ) -> Rendered | RenderFailure:
        """Return the message of one file, whatever the customer's locale; for `check`."""
        try:
            entry = self._entry(template)
            compiled = entry.compiled.get((channel, variant))
            if compiled is None:
                return self._broken(entry)
            return self._render(compiled, template, context, locale)
        except Exception as error:
            return _unavailable(template, error)

    def _render(
        self, compiled: _Compiled, template: str, context: Mapping[str, Any], locale: str
    ) -> Rendered | RenderFailure:
        zone = str((context.get("customer") or {}).get("timezone") or "") or self.timezone
        journey = str((context.get("journey") or {}).get("name") or "")
        locales, channel = (locale, compiled.locale, self.locale), compiled.message.channel
        state = sandbox.State(locales, zone, channel, journey, template)
        variables = {
            **context,
            "range": sandbox.bounded_range,
            sandbox.STATE: state,
            "subject": "",
            "preheader": "",
        }
        return _Rendering(compiled, variables).result()

    def problems(self, template: str) -> tuple[TemplateProblem, ...]:
        """Return what is wrong with a template's files, in all channels and locales, without rendering it."""
        return self._entry(template).problems

    def channels(self, template: str) -> tuple[str, ...]:
        """Return the channels a template has a message for."""
        return self._entry(template).template.channels()

    def locales(self, template: str, channel: str) -> tuple[str, ...]:
        """Return the locales a template has for a channel, "" being the file without one."""
        return tuple(locale for one, locale in self._entry(template).template.messages if one == channel)

    def category(self, template: str, channel: str) -> str:
        """Return the category that the front matter sets, or nothing."""
        if template not in self._entries:
            return category(self.templates, template, channel, self.locale)
        messages = self._entry(template).template.messages
        found = [one.category for (name, _), one in messages.items() if name == channel and one.category]
        return found[0] if found else ""

    def names_used(self, template: str, channel: str, variant: str | None = None) -> frozenset[str]:
        """Return the names that a template reads: `orders`, `customer`, `customer.first_name`.

        In any locale, or in the one file whose locale `variant` is.
        """
        compiled = self._entry(template).compiled
        wanted = [
            one for (name, locale), one in compiled.items() if name == channel and variant in (None, locale)
        ]
        return frozenset().union(*(part.names for one in wanted for part in one.parts()))

    def reads(self, template: str, channel: str) -> frozenset[tuple[str, ...]]:
        """Return the paths of what a template reads, in any locale and none inside another: `("customer", "first_name")`."""
        entry = self._entry(template)
        if channel not in entry.reads:
            mine = [one for (name, _), one in entry.compiled.items() if name == channel]
            found = {tuple(path.split(".")) for one in mine for part in one.parts() for path in part.reads}
            inside = {path for path in found if any(path[:n] in found for n in range(1, len(path)))}
            entry.reads[channel] = frozenset(found - inside)
        return entry.reads[channel]

    def sound(self, template: str) -> tuple[tuple[str, str], ...]:
        """Return channel and locale of each of the template's files that can be rendered."""
        return tuple(self._entry(template).compiled)

    def message(self, template: str, channel: str, variant: str) -> MessageTemplate:
        """Return one file's sources as loaded. Raises KeyError where there is none."""
        return self._entry(template).template.messages[channel, variant]

    def version(self, template: str) -> str:
        """Return a hash of what the template's files mean together with their layout."""
        return self._entry(template).template.version

    def refresh(self) -> None:
        """Read changed files anew; templates whose meaning did not change keep their compiled form."""
        for name, old in list(self._entries.items()):
            loaded = load_template(self.templates, name, self.locale)
            if loaded != old.template:
                self._entries[name] = self._compile(loaded)

    def _entry(self, name: str) -> _Entry:
        found = self._entries.get(name)
        if found is None:
            found = self._entries[name] = self._compile(load_template(self.templates, name, self.locale))
        return found

    def _compile(self, template: Template) -> _Entry:
        entry = _Entry(template)
        problems = set(template.problems)
        for key, message in template.messages.items():
            compiled, found = self._compile_message(message)
            problems.update(found)
            if not message.broken and not any(
                part.template is None and part.constant is None for part in compiled.parts()
            ):
                entry.compiled[key] = compiled
        entry.problems = tuple(sorted(problems))
        return entry

    def _compile_message(self, message: MessageTemplate) -> tuple[_Compiled, list[TemplateProblem]]:
        problems: list[TemplateProblem] = []
        fields: dict[str, CompiledPart] = {}
        for name, source in message.fields.items():
            fields[name], found = compile_part(source, message.file, self._names)
            problems += found
        names = {**self._names, "subject": None, "preheader": None}
        text, found = compile_part(message.text, message.file, names)
        problems += found
        html = None
        addresses = {one.digest: self._address(one, message) for one in message.pictures}
        if message.html is not None:
            source = replace(message.html, text=enclosures.placed(message.html.text, addresses))
            html, found = compile_part(source, message.file, names, html=True)
            problems += found
        inline = () if message.hosted else message.pictures
        attachments = [one.attached() for one in message.attached]
        attachments += [one.attached(inline=True) for one in inline]
        pictures = tuple((addresses[one.digest], one) for one in message.pictures)
        locale = message.locale or self.locale
        return _Compiled(message, fields, text, html, locale, tuple(attachments), pictures), problems

    def _address(self, picture: Enclosure, message: MessageTemplate) -> str:
        """Return where the HTML finds a picture; one that is hosted is kept first."""
        if not message.hosted:
            return f"cid:{picture.content_id}"
        if self._keep is not None:
            self._keep(picture)
        return self.public_url + picture.hosted

    def _choose(self, entry: _Entry, channel: str, locale: str) -> _Compiled | RenderFailure:
        """Return the variant nearest to the customer's locale; the workspace's own is the last resort."""
        for near in (*chain(locale), *chain(self.locale)):
            if (channel, near) in entry.template.messages:
                return entry.compiled.get((channel, near)) or self._broken(entry)
        name = entry.template.name
        if not entry.template.messages:
            return self._broken(entry)
        return RenderFailure(
            "no-variant",
            f"The template {name!r} has no {channel} file for the locale {locale!r}.",
            f"templates/{name}",
        )

    def _broken(self, entry: _Entry) -> RenderFailure:
        first = entry.problems[0]
        code = "broken-template" if entry.template.messages else "unknown-template"
        return RenderFailure(code, first.message, first.file, first.line, first.column)


def _unavailable(template: str, error: Exception) -> RenderFailure:
    """Return what keeps every message from being written: the disk, the database, a process that cannot be started."""
    said = str(error) or type(error).__name__
    return RenderFailure(UNAVAILABLE, f"Nothing can be written just now: {said}", f"templates/{template}")


class _Rendering:
    """One message in the making."""

    def __init__(self, compiled: _Compiled, variables: dict[str, Any]) -> None:
        self._compiled = compiled
        self._variables = variables

    def result(self) -> Rendered | RenderFailure:
        part = self._compiled.text
        try:
            fields: dict[str, str] = {}
            for name, part in self._compiled.fields.items():
                fields[name] = part.render(self._variables).strip()
            self._variables["subject"] = fields.get("subject", "")
            self._variables["preheader"] = fields.get("preheader", "")
            part = self._compiled.text
            text = part.render(self._variables)
            html = ""
            if self._compiled.html is not None:
                part = self._compiled.html
                html = part.render(self._variables)
            return self._finished(fields, text, html)
        except Fault as error:
            return part.failure(error)
        except (RenderError, MemoryError):
            raise
        except Exception as error:  # whatever a library makes of what a template gives it, as in the child
            return part.failure(error)

    def _finished(self, fields: dict[str, str], text: str, html: str) -> Rendered | RenderFailure:
        message = self._compiled.message
        if message.derived and "\n " in text:
            text = _INDENT.sub("\n", text)
        text = _without_gaps(text)
        subject = _BLANK.sub(" ", fields.get("subject", ""))
        empty = "subject" if message.channel == "email" and not subject else "" if text or html else "text"
        if empty:
            return RenderFailure(
                "empty", f"The {empty} of this message is empty for this customer.", message.file
            )
        link = fields.get("link", "")
        if link and not _APP_LINK.fullmatch(link):
            raise Fault("unsafe-link", f"{link[:60]!r} is no address for a link.")
        name, address = _sender(fields.get("from", ""))
        return Rendered(
            message.channel, text, subject, _BLANK.sub(" ", fields.get("preheader", "")), html, fields.get("title", ""),
            link, name, address, message.category, self._compiled.locale, self._compiled.attachments,
            self._compiled.pictures,
        )  # fmt: skip


def _without_gaps(text: str) -> str:
    """Return the text without blanks at line ends and more than one empty line, which conditions leave behind."""
    if " \n" in text or "\t\n" in text:
        text = _TRAILING.sub("", text)
    return (_GAP.sub("\n\n", text) if "\n\n\n" in text else text).strip()


def _sender(value: str) -> tuple[str, str]:
    """Return name and address of `Name <address>`, of a bare address, or of a bare name."""
    found = _SENDER.fullmatch(value)
    if found:
        return found[1].strip().strip('"'), found[2].strip()
    return ("", value) if _ADDRESS.fullmatch(value) else (value, "")
