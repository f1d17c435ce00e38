"""One message's folder: its files by channel and locale, laid into the layout and compiled to Jinja sources."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from treue.errors import UnreadableFile
from treue.render.problem import TemplateProblem
from treue.render.sandbox import confinement
from treue.render.sandbox.confinement import RenderStopped, Uncompiled
from treue.render.templates import enclosures, frontmatter, markup, mjml_file
from treue.render.templates.enclosures import Enclosure
from treue.render.templates.frontmatter import HOSTED, FrontMatter, Value
from treue.render.templates.tags import JinjaSource, Mask, Piece, Tag, cut, merge_tags, plain, tidy_lines
from treue.workspace.files import LAYOUT, TEMPLATE_FILE, TEMPLATE_FORMS, listed, read_file

LARGEST = 256 * 1024
"""Characters one file may have."""
_LARGEST_FILE = 4 * LARGEST
"""Bytes that so many characters have at the most."""
_INHERITED = ("from", "category", "layout", "link", "attach", "pictures")
"""What a variant takes over from the file without (or with the shorter) locale; never what is read aloud."""
_WHOLE = re.compile(r"\s*<(?:mjml|!doctype|html)\b", re.IGNORECASE)
_BODY = re.compile(r"<body\b[^>]*>", re.IGNORECASE)


@dataclass(frozen=True)
class MessageTemplate:
    """One channel of a template in one locale, as Jinja sources. `html` is empty where there is no HTML.

    In place of the `pictures` that the HTML shows it has their marks; `hosted` says that they stay with us.
    `derived` says that the text was made from the HTML.
    """

    channel: str
    locale: str
    file: str
    fields: Mapping[str, JinjaSource]
    text: JinjaSource
    html: JinjaSource | None = None
    category: str = ""
    broken: bool = False
    places: Mapping[str, Value] = field(default_factory=dict)
    pictures: tuple[Enclosure, ...] = ()
    hosted: bool = True
    attached: tuple[Enclosure, ...] = ()
    derived: bool = False


@dataclass(frozen=True)
class Template:
    """A folder's messages by channel and locale ("" is the file without one), and all that is wrong with them."""

    name: str
    messages: Mapping[tuple[str, str], MessageTemplate]
    problems: tuple[TemplateProblem, ...]
    version: str

    def channels(self) -> tuple[str, ...]:
        """Return the channels it has a message for."""
        return tuple(dict.fromkeys(channel for channel, _ in self.messages))


@dataclass(frozen=True)
class TemplateFile:
    """One file as read: its front matter and the pieces of its body."""

    name: str
    form: str
    front: FrontMatter
    pieces: tuple[Piece, ...]
    problems: tuple[TemplateProblem, ...]
    pictures: Mapping[str, Enclosure] = field(default_factory=dict)
    unsendable: tuple[TemplateProblem, ...] = ()
    """What can be read well enough, so that more is found, and yet must not go out."""

    @property
    def damaged(self) -> bool:
        """Whether no message can be made of it, whatever its compiler says."""
        found = (*self.front.problems, *self.problems, *self.unsendable)
        return any(one.code == "T401" for one in found)

    @property
    def whole(self) -> bool:
        """Whether it brings its own <mjml> or <html>, and so needs no layout."""
        return bool(_WHOLE.match(self.front.body))


@lru_cache(maxsize=1024)
def chain(locale: str) -> tuple[str, ...]:
    """Return the locales to look for, nearest first: de-AT, de, and none."""
    tag = locale.replace("_", "-")
    words = [word for word in tag.split("-") if word]
    return tuple("-".join(words[:count]) for count in range(len(words), -1, -1))


def load_template(templates: Path, name: str, locale: str = "en") -> Template:
    """Read the folder `name` under `templates`, with the layout beside it.

    `locale` is the workspace's, in which files without a locale are written. Reads files; raises nothing: what
    is wrong, and also a missing folder, is among the problems.
    """
    folder = templates / name
    files = _read(folder, f"templates/{name}")
    layouts = _read(templates / LAYOUT, f"templates/{LAYOUT}", layout=True)
    if not files:
        problem = TemplateProblem(
            f"templates/{name}", 1, 1, "T401", "There is no message in this folder.",
            "Its files are called email.mjml, email.html, email.txt, sms.txt or push.txt.",
        )  # fmt: skip
        return Template(name, {}, (problem, *_strays(folder, name)), "")
    problems = [*_strays(folder, name)]
    for file in (*files.values(), *layouts.values()):
        problems += [*file.front.problems, *file.problems, *file.unsendable]
    builder = _Builder(folder, files, layouts, locale)
    messages = {(one.channel, one.locale): one for one in builder.messages()}
    enclosed = {f"templates/{name}/{one.name}" for message in messages.values() for one in message.attached}
    problems = [*(one for one in problems if one.file not in enclosed), *builder.problems]
    return Template(name, messages, tuple(sorted(set(problems))), _version(messages))


def category(templates: Path, name: str, channel: str, locale: str = "en") -> str:
    """Return the category that the front matter of the folder `name` sets for a channel, or nothing. Compiles nothing.

    `templates` and `locale` are those of `load_template`.
    """
    if not _mentions(templates, name, "category"):
        return ""
    files = _read(templates / name, f"templates/{name}", read=_head)
    layouts = _read(templates / LAYOUT, f"templates/{LAYOUT}", layout=True, read=_head)
    found = _Builder(templates / name, files, layouts, locale).categories(channel)
    return next((one for one in found if one), "")


def _mentions(templates: Path, name: str, word: str) -> bool:
    """Return whether a word stands anywhere in a template's or a layout's files."""
    folders = (templates / name, templates / LAYOUT)
    files = [path for folder in folders for path in listed(folder) if path.suffix in TEMPLATE_FORMS]
    return any(word.encode() in _bytes(path) for path in files)


def _bytes(path: Path) -> bytes:
    try:
        return read_file(path, _LARGEST_FILE)
    except UnreadableFile:
        return b""  # said by whoever reads the template


def _version(messages: Mapping[tuple[str, str], MessageTemplate]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for key, message in sorted(messages.items()):
        digest.update(
            repr((key, message.category, sorted((k, v.text) for k, v in message.fields.items()))).encode()
        )
        digest.update(
            message.text.text.encode() + b"\0" + (message.html.text if message.html else "").encode()
        )
        digest.update(repr((message.hosted, [one.digest for one in message.attached])).encode())
    return digest.hexdigest()


Key = tuple[str, str, str]
"""Channel, locale and form of a file; for a layout its name, locale and form."""


def _read(
    folder: Path,
    shown: str,
    *,
    layout: bool = False,
    read: Callable[[Path, str, str], TemplateFile] | None = None,
) -> dict[Key, TemplateFile]:
    pattern = re.compile(
        r"(?P<kind>[a-z][a-z0-9-]*)(?:\.(?P<locale>[a-z]{2,3}(?:-\w{2,8})*))?\.(?P<form>mjml|html|txt)"
    )
    files: dict[Key, TemplateFile] = {}
    for path in listed(folder):
        found = (pattern if layout else TEMPLATE_FILE).fullmatch(path.name)
        if found:
            files[found["kind"], found["locale"] or "", found["form"]] = (read or _file)(
                path, f"{shown}/{path.name}", found["form"]
            )
    return files


def _head(path: Path, shown: str, form: str) -> TemplateFile:
    """Return a file with its front matter alone."""
    try:
        content = read_file(path, _LARGEST_FILE)
        source = content.decode("utf-8", "strict" if len(content) <= _LARGEST_FILE else "ignore")
    except UnreadableFile as fault:
        return _broken(shown, form, f"This file cannot be read: {fault}.")
    except UnicodeDecodeError as error:
        return _broken(shown, form, f"This file cannot be read as UTF-8 text: {error}.")
    if len(source) > LARGEST or len(content) > _LARGEST_FILE:
        return _broken(shown, form, "This file is longer than 256 kB.")
    return TemplateFile(shown, form, frontmatter.read(source, shown), (), ())


def _file(path: Path, shown: str, form: str) -> TemplateFile:
    head = _head(path, shown, form)
    if head.problems:
        return head
    front = head.front
    body = front.body if form == "txt" else markup.without_comments(front.body)
    pieces, problems, unsendable = _take_apart(body, shown, form, front.body_line)
    if form == "txt":
        return TemplateFile(shown, form, front, pieces, problems, {}, unsendable)
    pictures, missing = enclosures.pictures(body, shown, front.body_line, path.parent)
    pieces_shown = enclosures.marked(pieces, pictures)
    return TemplateFile(shown, form, front, pieces_shown, (*problems, *missing), pictures, unsendable)


@lru_cache(maxsize=64)  # layouts are read with every template
def _take_apart(
    body: str, shown: str, form: str, line: int
) -> tuple[tuple[Piece, ...], tuple[TemplateProblem, ...], tuple[TemplateProblem, ...]]:
    """Return the pieces of a body, what keeps it from being compiled, and what keeps it from being sent."""
    pieces, problems = cut(body, shown, line)
    unsendable = merge_tags(body, shown, line)
    if form == "mjml":
        problems += mjml_file.check_mjml(body, shown, line)
    if form != "txt":
        unsendable += markup.unsafe_markup(body, shown, line)
    return tuple(pieces), tuple(problems), tuple(unsendable)


def _broken(shown: str, form: str, message: str) -> TemplateFile:
    return TemplateFile(shown, form, FrontMatter(), (), (TemplateProblem(shown, 1, 1, "T401", message),))


def _strays(folder: Path, name: str) -> Iterator[TemplateProblem]:
    for path in listed(folder):
        if path.suffix in (".mjml", ".html", ".txt") and not TEMPLATE_FILE.fullmatch(path.name):
            yield TemplateProblem(
                f"templates/{name}/{path.name}", 1, 1, "T401", f"{path.name} is not the name of a message's file.",
                "Files are called email.mjml, email.html, email.txt, sms.txt or push.txt, with a locale as in email.de.mjml.",
            )  # fmt: skip


class _Builder:
    """Makes the messages of one folder."""

    def __init__(
        self, folder: Path, files: dict[Key, TemplateFile], layouts: dict[Key, TemplateFile], locale: str
    ) -> None:
        self._folder, self._files, self._layouts, self._locale = folder, files, layouts, locale
        self.problems: list[TemplateProblem] = []

    def messages(self) -> Iterator[MessageTemplate]:
        for channel, locale in dict.fromkeys((channel, locale) for channel, locale, _ in self._files):
            yield self._email(locale) if channel == "email" else self._plain(channel, locale)

    def categories(self, channel: str) -> Iterator[str]:
        """Yield what the front matter of each message by a channel says of its category."""
        for locale in dict.fromkeys(locale for one, locale, _ in self._files if one == channel):
            files, layout = self._used(channel, locale)
            yield _category(self._values(channel, locale, files, layout))

    def _used(self, channel: str, locale: str) -> tuple[list[TemplateFile], TemplateFile | None]:
        """Return the files that a message is made of, its text of its own last, and the layout around them."""
        text, text_distance = self._find(channel, locale, ("txt",))
        markup_, distance = self._find(channel, locale, ("mjml", "html"))
        if markup_ is None or (text and channel != "email"):
            assert text is not None
            return [text], None
        if channel != "email":
            return [markup_], None
        own_text = [text] if text and text_distance <= distance else []
        return [markup_, *own_text], None if markup_.whole else self._layout(markup_, locale)

    def _find(self, channel: str, locale: str, forms: tuple[str, ...]) -> tuple[TemplateFile | None, int]:
        """Return the file nearest to the locale, and how far away it is."""
        for distance, near in enumerate(chain(locale)):
            for form in forms:
                if (channel, near, form) in self._files:
                    return self._files[channel, near, form], distance
        return None, 99

    def _plain(self, channel: str, locale: str) -> MessageTemplate:
        (file,), _ = self._used(channel, locale)
        if file.form != "txt":
            self._report(file, f"A message by {channel} is plain text.", f"Call the file {channel}.txt.")
        values = self._values(channel, locale, [file], None)
        if "attach" in values:
            self._report(file, f"A message by {channel} has no attachments.", "Put a link into it instead.")
        message = self._message(channel, locale, file, values, plain(file.pieces, tidy=True), None)
        return replace(message, broken=file.form != "txt" or file.damaged)

    def _email(self, locale: str) -> MessageTemplate:
        files, layout = self._used("email", locale)
        values = self._values("email", locale, files, layout)
        html, own_text = files[0], files[1] if len(files) > 1 else None
        if html.form == "txt":
            text = self._message("email", locale, html, values, plain(html.pieces, tidy=True), None)
            return replace(text, broken=html.damaged)
        compiled = self._compile(html, layout, values, locale)
        broken = compiled is None or any(one.damaged for one in (*files, *([layout] if layout else [])))
        compiled = compiled or (JinjaSource("", ()), JinjaSource("", ()))
        body = plain(own_text.pieces, tidy=True) if own_text else compiled[1]
        message = self._message("email", locale, html, values, body, compiled[0])
        shown = [one for used in (html, layout) if used for one in used.pictures.values()]
        pictures = enclosures.shown_in(compiled[0].text, {one.digest: one for one in shown})
        message = replace(message, broken=broken, pictures=pictures, derived=own_text is None)
        self._weigh(message, html)
        return message

    def _weigh(self, message: MessageTemplate, file: TemplateFile) -> None:
        inside = [*message.attached, *(() if message.hosted else message.pictures)]
        if sum(len(one.content) for one in inside) > enclosures.LARGEST_TOGETHER:
            said = f"The files in this mail have more than {enclosures.LARGEST_TOGETHER // 1024 // 1024} MB together."
            self._report(file, said, "Put links to them into the message.", "T407")

    def _message(
        self,
        channel: str,
        locale: str,
        file: TemplateFile,
        values: dict[str, Value],
        text: JinjaSource,
        html: JinjaSource | None,
    ) -> MessageTemplate:
        fields = {
            name: plain(value.pieces) for name, value in values.items() if name not in frontmatter.SETTINGS
        }
        return MessageTemplate(
            channel, locale, file.name, fields, text, html, _category(values), places=values,
            hosted="pictures" not in values or values["pictures"].text == HOSTED,
            attached=tuple(self._attached(values.get("attach"))) if channel == "email" else (),
        )  # fmt: skip

    def _attached(self, value: Value | None) -> Iterator[Enclosure]:
        for entry in value.entries if value else ():
            try:
                yield enclosures.enclosure(self._folder, entry.text)
            except enclosures.NoEnclosure as error:
                place = entry.file, entry.line, entry.column
                self.problems.append(TemplateProblem(*place, "T407", error.message, error.advice))

    def _values(
        self, channel: str, locale: str, files: list[TemplateFile], layout: TemplateFile | None
    ) -> dict[str, Value]:
        values: dict[str, Value] = dict(layout.front.values) if layout else {}
        for near in reversed(chain(locale)):
            for form in ("txt", "html", "mjml"):
                file = self._files.get((channel, near, form))
                inherited = file.front.values.items() if file else ()
                values.update({key: value for key, value in inherited if key in _INHERITED})
        for file in reversed(files):
            values.update(file.front.values)
        return values

    def _layout(self, file: TemplateFile, locale: str) -> TemplateFile | None:
        wanted = file.front.values.get("layout")
        name = wanted.text if wanted else "email"
        if name == "none":
            return None
        for near in dict.fromkeys((*chain(locale), *chain(self._locale))):
            if (name, near, file.form) in self._layouts:
                return self._layouts[name, near, file.form]
        self._report(
            file, f"This is the body of a layout, and there is no templates/{LAYOUT}/{name}.{file.form}.",
            f"Make the layout, or begin the file with <{'mjml' if file.form == 'mjml' else 'html'}>.",
        )  # fmt: skip
        return None

    def _report(self, file: TemplateFile, message: str, suggestion: str = "", code: str = "T401") -> None:
        self.problems.append(TemplateProblem(file.name, file.front.body_line, 1, code, message, suggestion))

    def _compile(
        self, file: TemplateFile, layout: TemplateFile | None, values: dict[str, Value], locale: str
    ) -> tuple[JinjaSource, JinjaSource] | None:
        """Return the HTML and the text derived from it; None where the source is broken."""
        used = [file, *([layout] if layout else [])]
        if any(one.problems for one in used) or not (file.whole or layout):
            return None
        mask = Mask(file.front.body, layout.front.body if layout else "")
        told = len(self.problems)
        masked = self._lay_out(file, layout, mask)
        if len(self.problems) > told:
            return None
        try:
            return self._compiled(file, masked, mask, values, locale)
        except Uncompiled as error:
            said = f"This is no valid {file.form.upper()}: {error}."
        except RenderStopped as stopped:
            said = f"This {file.form.upper()} cannot be compiled: {stopped.why}."
        self._report(file, said, "Check that every element is closed.")
        return None

    def _compiled(
        self, file: TemplateFile, masked: str, mask: Mask, values: dict[str, Value], locale: str
    ) -> tuple[JinjaSource, JinjaSource] | None:
        html = _compiled(masked, file.form)
        lost = markup.lost_tags(mask, masked, html, file.name)
        lost += markup.misplaced(html, mask)
        self.problems += lost
        if lost:
            return None
        html = _with_preheader(html, mask, values.get("preheader"))
        html = html.replace('lang="und"', f'lang="{locale or self._locale}"')
        text = mask.unmask(markup.derive_text(html, mask))
        return mask.unmask(markup.guard_links(html, mask)), JinjaSource(tidy_lines(text.text), text.tags)

    def _lay_out(self, file: TemplateFile, layout: TemplateFile | None, mask: Mask) -> str:
        masked, problems = markup.mask_markup(file.pieces, mask)
        self.problems += problems
        if layout is None:
            return masked
        before, after = _around_content(layout.pieces)
        if after is None:
            self._report(layout, "This layout has no {{ content }}.", "Write it where the message belongs.")
            return masked
        outer, problems = markup.mask_markup([*before, _HOLE, *after], mask)
        self.problems += problems
        return outer.replace(_HOLE, masked, 1)


def _category(values: Mapping[str, Value]) -> str:
    return values["category"].text if "category" in values else ""


_HOLE = "\x02"


def _around_content(pieces: tuple[Piece, ...]) -> tuple[list[Piece], list[Piece] | None]:
    for index, piece in enumerate(pieces):
        if isinstance(piece, Tag) and piece.prints and piece.expression == "content":
            return list(pieces[:index]), list(pieces[index + 1 :])
    return list(pieces), None


@lru_cache(maxsize=512)
def _compiled(masked: str, form: str) -> str:
    return confinement.compile_markup(masked, form)


def _with_preheader(html: str, mask: Mask, preheader: Value | None) -> str:
    """Put the preheader first in the body, hidden, unless the source prints it itself."""
    if preheader is None or any(re.search(r"\bpreheader\b", tag.text) for tag in mask.tags):
        return html
    token = mask.add(Tag("{{ preheader }}", preheader.file, preheader.line, preheader.column))
    hidden = f'<div style="display:none;max-height:0;overflow:hidden">{token}</div>'
    return _BODY.sub(lambda body: body[0] + hidden, html, count=1)
