"""One message's folder: its files by channel and locale, laid into the layout and compiled to Jinja sources."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from treue.render import enclosures, frontmatter, markup, mjml_file
from treue.render.enclosures import Enclosure
from treue.render.frontmatter import HOSTED, FrontMatter, Value
from treue.render.problem import TemplateProblem
from treue.render.tags import Mask, Piece, Source, Tag, cut, plain, tidy_lines
from treue.workspace.files import LAYOUT, TEMPLATE_FILE

LARGEST = 256 * 1024
"""Characters one file may have."""
_INHERITED = ("from", "category", "layout", "link", "attach", "pictures")
"""What a variant takes over from the file without (or with the shorter) locale; never what is read aloud."""
_WHOLE = re.compile(r"\s*<(?:mjml|!doctype|html)\b", re.IGNORECASE)
_BODY = re.compile(r"<body\b[^>]*>", re.IGNORECASE)


@dataclass(frozen=True)
class Message:
    """One channel of a template in one locale, as Jinja sources. `html` is empty where there is no HTML.

    In place of the `pictures` that the HTML shows it has their marks; `hosted` says that they stay with us.
    `derived` says that the text was made from the HTML.
    """

    channel: str
    locale: str
    file: str
    fields: Mapping[str, Source]
    text: Source
    html: Source | None = None
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
    messages: Mapping[tuple[str, str], Message]
    problems: tuple[TemplateProblem, ...]
    version: str

    def channels(self) -> tuple[str, ...]:
        """Return the channels it has a message for."""
        return tuple(dict.fromkeys(channel for channel, _ in self.messages))


@dataclass(frozen=True)
class File:
    """One file as read: its front matter and the pieces of its body."""

    name: str
    form: str
    front: FrontMatter
    pieces: tuple[Piece, ...]
    problems: tuple[TemplateProblem, ...]
    pictures: Mapping[str, Enclosure] = field(default_factory=dict)

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
        problems += [*file.front.problems, *file.problems]
    builder = _Builder(folder, files, layouts, locale)
    messages = {(one.channel, one.locale): one for one in builder.messages()}
    enclosed = {f"templates/{name}/{one.name}" for message in messages.values() for one in message.attached}
    problems = [*(one for one in problems if one.file not in enclosed), *builder.problems]
    return Template(name, messages, tuple(sorted(set(problems))), _version(messages))


def mentions(templates: Path, name: str, word: str) -> bool:
    """Say whether a word stands anywhere in a template's or a layout's files: a look that compiles nothing."""
    files = [
        path
        for folder in (templates / name, templates / LAYOUT)
        if folder.is_dir()
        for path in folder.iterdir()
    ]
    return any(word.encode() in path.read_bytes() for path in files if path.is_file())


def _version(messages: Mapping[tuple[str, str], Message]) -> str:
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


def _read(folder: Path, shown: str, *, layout: bool = False) -> dict[Key, File]:
    pattern = re.compile(
        r"(?P<kind>[a-z][a-z0-9-]*)(?:\.(?P<locale>[a-z]{2,3}(?:-\w{2,8})*))?\.(?P<form>mjml|html|txt)"
    )
    files: dict[Key, File] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        found = (pattern if layout else TEMPLATE_FILE).fullmatch(path.name)
        if found and path.is_file():
            files[found["kind"], found["locale"] or "", found["form"]] = _file(
                path, f"{shown}/{path.name}", found["form"]
            )
    return files


def _file(path: Path, shown: str, form: str) -> File:
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return _broken(shown, form, f"This file cannot be read as UTF-8 text: {error}.")
    if len(source) > LARGEST:
        return _broken(shown, form, "This file is longer than 256 kB.")
    front = frontmatter.read(source, shown)
    body = front.body if form == "txt" else markup.without_comments(front.body)
    pieces, problems = cut(body, shown, front.body_line)
    if form == "txt":
        return File(shown, form, front, tuple(pieces), tuple(problems))
    if form == "mjml":
        problems += mjml_file.check_mjml(body, shown, front.body_line)
    problems += markup.unsafe_markup(body, shown, front.body_line)
    pictures, missing = enclosures.pictures(body, shown, front.body_line, path.parent)
    pieces_shown = enclosures.marked(pieces, pictures)
    return File(shown, form, front, pieces_shown, (*problems, *missing), pictures)


def _broken(shown: str, form: str, message: str) -> File:
    return File(shown, form, FrontMatter(), (), (TemplateProblem(shown, 1, 1, "T401", message),))


def _strays(folder: Path, name: str) -> Iterator[TemplateProblem]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix in (".mjml", ".html", ".txt") and not TEMPLATE_FILE.fullmatch(path.name):
            yield TemplateProblem(
                f"templates/{name}/{path.name}", 1, 1, "T401", f"{path.name} is not the name of a message's file.",
                "Files are called email.mjml, email.html, email.txt, sms.txt or push.txt, with a locale as in email.de.mjml.",
            )  # fmt: skip


class _Builder:
    """Makes the messages of one folder."""

    def __init__(self, folder: Path, files: dict[Key, File], layouts: dict[Key, File], locale: str) -> None:
        self._folder, self._files, self._layouts, self._locale = folder, files, layouts, locale
        self.problems: list[TemplateProblem] = []

    def messages(self) -> Iterator[Message]:
        for channel, locale in dict.fromkeys((channel, locale) for channel, locale, _ in self._files):
            yield self._email(locale) if channel == "email" else self._plain(channel, locale)

    def _find(self, channel: str, locale: str, forms: tuple[str, ...]) -> tuple[File | None, int]:
        """Return the file nearest to the locale, and how far away it is."""
        for distance, near in enumerate(chain(locale)):
            for form in forms:
                if (channel, near, form) in self._files:
                    return self._files[channel, near, form], distance
        return None, 99

    def _plain(self, channel: str, locale: str) -> Message:
        file, _ = self._find(channel, locale, ("txt",))
        if file is None:
            file, _ = self._find(channel, locale, ("mjml", "html"))
            assert file is not None
            self._report(file, f"A message by {channel} is plain text.", f"Call the file {channel}.txt.")
        values = self._values(channel, locale, [file], None)
        if "attach" in values:
            self._report(file, f"A message by {channel} has no attachments.", "Put a link into it instead.")
        message = self._message(channel, locale, file, values, plain(file.pieces, tidy=True), None)
        return replace(message, broken=file.form != "txt" or any(one.code == "T401" for one in file.problems))

    def _email(self, locale: str) -> Message:
        html, html_distance = self._find("email", locale, ("mjml", "html"))
        text, text_distance = self._find("email", locale, ("txt",))
        if html is None:
            assert text is not None
            values = self._values("email", locale, [text], None)
            return self._message("email", locale, text, values, plain(text.pieces, tidy=True), None)
        own_text = text if text and text_distance <= html_distance else None
        layout = None if html.whole else self._layout(html, locale)
        values = self._values("email", locale, [html, *([own_text] if own_text else [])], layout)
        compiled = self._compile(html, layout, values, locale)
        broken = compiled is None
        compiled = compiled or (Source("", ()), Source("", ()))
        body = plain(own_text.pieces, tidy=True) if own_text else compiled[1]
        message = self._message("email", locale, html, values, body, compiled[0])
        shown = [one for used in (html, layout) if used for one in used.pictures.values()]
        pictures = enclosures.shown_in(compiled[0].text, {one.digest: one for one in shown})
        message = replace(message, broken=broken, pictures=pictures, derived=own_text is None)
        self._weigh(message, html)
        return message

    def _weigh(self, message: Message, file: File) -> None:
        inside = [*message.attached, *(() if message.hosted else message.pictures)]
        if sum(len(one.content) for one in inside) > enclosures.LARGEST_TOGETHER:
            said = f"The files in this mail have more than {enclosures.LARGEST_TOGETHER // 1024 // 1024} MB together."
            self._report(file, said, "Put links to them into the message.", "T407")

    def _message(
        self,
        channel: str,
        locale: str,
        file: File,
        values: dict[str, Value],
        text: Source,
        html: Source | None,
    ) -> Message:
        fields = {
            name: plain(value.pieces) for name, value in values.items() if name not in frontmatter.SETTINGS
        }
        category = values["category"].text if "category" in values else ""
        return Message(
            channel, locale, file.name, fields, text, html, category, places=values,
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

    def _values(self, channel: str, locale: str, files: list[File], layout: File | None) -> dict[str, Value]:
        values: dict[str, Value] = dict(layout.front.values) if layout else {}
        for near in reversed(chain(locale)):
            for form in ("txt", "html", "mjml"):
                file = self._files.get((channel, near, form))
                inherited = file.front.values.items() if file else ()
                values.update({key: value for key, value in inherited if key in _INHERITED})
        for file in reversed(files):
            values.update(file.front.values)
        return values

    def _layout(self, file: File, locale: str) -> File | None:
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

    def _report(self, file: File, message: str, suggestion: str = "", code: str = "T401") -> None:
        self.problems.append(TemplateProblem(file.name, file.front.body_line, 1, code, message, suggestion))

    def _compile(
        self, file: File, layout: File | None, values: dict[str, Value], locale: str
    ) -> tuple[Source, Source] | None:
        """Return the HTML and the text derived from it; None where the source is broken."""
        used = [file, *([layout] if layout else [])]
        if any(one.problems for one in used) or not (file.whole or layout):
            return None
        mask = Mask(file.front.body, layout.front.body if layout else "")
        masked = self._lay_out(file, layout, mask)
        try:
            html = _compiled(masked, file.form)
        except ValueError as error:
            self._report(
                file, f"This is no valid {file.form.upper()}: {error}.", "Check that every element is closed."
            )
            return None
        lost = markup.lost_tags(mask, masked, html, file.name)
        self.problems += lost
        if lost:
            return None
        html = _with_preheader(html, mask, values.get("preheader"))
        html = html.replace('lang="und"', f'lang="{locale or self._locale}"')
        text = mask.unmask(markup.derive_text(html, mask))
        return mask.unmask(markup.guard_links(html, mask)), Source(tidy_lines(text.text), text.tags)

    def _lay_out(self, file: File, layout: File | None, mask: Mask) -> str:
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


_HOLE = "\x02"


def _around_content(pieces: tuple[Piece, ...]) -> tuple[list[Piece], list[Piece] | None]:
    for index, piece in enumerate(pieces):
        if isinstance(piece, Tag) and piece.prints and piece.expression == "content":
            return list(pieces[:index]), list(pieces[index + 1 :])
    return list(pieces), None


@lru_cache(maxsize=512)
def _compiled(masked: str, form: str) -> str:
    return mjml_file.compile_mjml(masked) if form == "mjml" else markup.compile_html(masked)


def _with_preheader(html: str, mask: Mask, preheader: Value | None) -> str:
    """Put the preheader first in the body, hidden, unless the source prints it itself."""
    if preheader is None or any(re.search(r"\bpreheader\b", tag.text) for tag in mask.tags):
        return html
    token = mask.add(Tag("{{ preheader }}", preheader.file, preheader.line, preheader.column))
    hidden = f'<div style="display:none;max-height:0;overflow:hidden">{token}</div>'
    return _BODY.sub(lambda body: body[0] + hidden, html, count=1)
