"""Files that go with a message: pictures that its HTML shows, and attachments. They lie beside it or beside the layout.

Nothing else can be named: a name has no folder in it, and a link to a file elsewhere is refused. What a file is, its
first bytes say; its name must say the same.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from urllib.parse import quote, unquote

from treue.channel import Attachment
from treue.render.problem import FINDINGS, TemplateProblem
from treue.render.templates.markup import style_sheets
from treue.render.templates.tags import Piece, shadow
from treue.workspace.files import LAYOUT

LARGEST_PICTURE = 2 * 1024 * 1024
"""Bytes one picture may have: a phone loads it on the way."""
LARGEST_TOGETHER = 7 * 1024 * 1024
"""Bytes that all files inside one mail may have: Postmark takes 10 MB once they are encoded, others more."""
PICTURES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
}
ATTACHED = PICTURES | {
    "pdf": "application/pdf", "ics": "text/calendar", "vcf": "text/vcard", "txt": "text/plain", "csv": "text/csv",
}  # fmt: skip
"""Endings of files and their media types. Other kinds are what filters of mail refuse."""

_BEGINS = {
    "image/png": rb"\x89PNG\r\n\x1a\n", "image/jpeg": rb"\xff\xd8\xff", "image/gif": rb"GIF8[79]a",
    "image/webp": rb"RIFF....WEBP", "application/pdf": rb"%PDF-", "text/calendar": rb"(\xef\xbb\xbf)?BEGIN:VCALENDAR",
    "text/vcard": rb"(\xef\xbb\xbf)?BEGIN:VCARD",
}  # fmt: skip
_NAME = re.compile(r"(?!\.)[^/\\:\x00-\x1f\x7f<>\"|?*]{1,120}")
_MARK = "treue-picture:"
_MARKED = re.compile(rf"{_MARK}(\w+)/[^\s\"')]*")
_SOURCE = re.compile(
    r"(?P<before>(?<![\w-])(?:src|background|background-url|poster)\s*=\s*|url\(\s*)(?P<quote>[\"'])?"
    r"(?P<name>[^\"'<>\n]{1,200}?)(?(quote)(?P=quote)|(?=[\s>)]))",
    re.IGNORECASE,
)
_TAG = re.compile(r"<[a-z](?:[^<>\"']|\"[^\"]*\"|'[^']*')*>", re.IGNORECASE)
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//|#|.*\0", re.IGNORECASE)


@dataclass(frozen=True)
class Enclosure:
    """A file as read: its name, its media type, its bytes, and a hash of all three."""

    name: str
    media_type: str
    content: bytes = field(repr=False)

    @cached_property
    def digest(self) -> str:
        """The hash by which a picture is hosted: another picture has another address."""
        said = f"{self.name}\0{self.media_type}\0".encode()
        return hashlib.blake2b(said + self.content, digest_size=16).hexdigest()

    @property
    def mark(self) -> str:
        """What stands in the compiled HTML until it is known how the picture is shown."""
        return f"{_MARK}{self.digest}/{quote(self.name)}"

    @property
    def hosted(self) -> str:
        """The path under the workspace's public address."""
        return f"/a/{self.digest}/{quote(self.name)}"

    @property
    def content_id(self) -> str:
        """The name under which a picture inside the mail is shown (RFC 2392)."""
        return f"{self.digest}@treue"

    def attached(self, *, inline: bool = False) -> Attachment:
        """Return the file as a part of a mail."""
        return Attachment(self.name, self.media_type, self.content, self.content_id if inline else "")


class NoEnclosure(ValueError):  # noqa: N818
    """A file cannot go with a message: a sentence, and what to do."""

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message)
        self.message, self.advice = message, advice


def enclosure(folder: Path, name: str, kinds: Mapping[str, str] = ATTACHED) -> Enclosure:
    """Read the file `name` beside the files in `folder`, else beside the layout. Raises NoEnclosure."""
    if not _NAME.fullmatch(name) or name.strip() != name:
        raise NoEnclosure(
            f"{name[:80]!r} is not the name of a file.",
            "Put the file beside this one, and write its name alone.",
        )
    media_type = kinds.get(name.rpartition(".")[2].lower())
    if media_type is None:
        raise NoEnclosure(
            f"{name} is of a kind that mail programs or filters refuse.", f"Kinds are {', '.join(kinds)}."
        )
    path = next((one / name for one in (folder, folder.parent / LAYOUT) if (one / name).exists()), None)
    if path is None:
        raise NoEnclosure(
            f"There is no file {name} here.", f"Put it beside this file, or into templates/{LAYOUT}."
        )
    return Enclosure(name, media_type, _content(path, media_type))


def _content(path: Path, media_type: str) -> bytes:
    if path.is_symlink() or not path.is_file():
        raise NoEnclosure(f"{path.name} is not a plain file.", "Put the file itself there.")
    largest = LARGEST_PICTURE if media_type.startswith("image/") else LARGEST_TOGETHER
    if path.stat().st_size > largest:
        raise NoEnclosure(
            f"{path.name} has more than {largest // 1024 // 1024} MB.",
            "Make it smaller, or put a link into the message.",
        )
    seen = path.stat()
    content = _read(path, seen.st_mtime_ns, seen.st_size)
    if not _is(content, media_type):
        raise NoEnclosure(
            f"{path.name} is no {media_type}, whatever its name says.", "Save it anew in that format."
        )
    return content


@lru_cache(maxsize=32)
def _read(path: Path, _changed: int, _size: int) -> bytes:
    """Return a file's bytes, the same for all templates that show it until it changes."""
    return path.read_bytes()


def _is(content: bytes, media_type: str) -> bool:
    if media_type in _BEGINS:
        return re.match(_BEGINS[media_type], content, re.DOTALL) is not None
    try:
        return bool(content) and "\0" not in content.decode()
    except UnicodeDecodeError:
        return False


def pictures(
    source: str, file: str, first_line: int, folder: Path
) -> tuple[dict[str, Enclosure], list[TemplateProblem]]:
    """Return the pictures a source shows by the names it gives them, and what is wrong with those it cannot show.

    An address with a scheme, and one that data gives, is none of ours.
    """
    found: dict[str, Enclosure] = {}
    problems: list[TemplateProblem] = []
    for at, name in _named(source):
        try:
            if "{%" in name:
                raise NoEnclosure(
                    "A picture's name has no tags in it.", "Put the condition around the whole element."
                )
            found[name] = enclosure(folder, unquote(name), PICTURES)
        except NoEnclosure as error:
            if len(problems) == FINDINGS:
                break
            line = source.count("\n", 0, at) + first_line
            column = at - source.rfind("\n", 0, at)
            problems.append(TemplateProblem(file, line, column, "T407", error.message, error.advice))
    return found, problems


def _named(source: str) -> Iterator[tuple[int, str]]:
    text = shadow(source)
    tags = (found.span() for found in _TAG.finditer(text))
    for place in (*tags, *style_sheets(text)):
        for match in _SOURCE.finditer(text, *place):
            if not _ELSEWHERE.match(match["name"].strip()):
                yield match.start("name"), source[match.start("name") : match.end("name")].strip()


def marked(pieces: Sequence[Piece], found: Mapping[str, Enclosure]) -> tuple[Piece, ...]:
    """Put each picture's mark in the place of its name."""

    def mark(match: re.Match[str]) -> str:
        picture = found.get(match["name"].strip())
        edge = match["quote"] or ""
        return match[0] if picture is None else f"{match['before']}{edge}{picture.mark}{edge}"

    return tuple(_SOURCE.sub(mark, piece) if found and isinstance(piece, str) else piece for piece in pieces)


def shown_in(html: str, known: Mapping[str, Enclosure]) -> tuple[Enclosure, ...]:
    """Return the pictures whose marks stand in the HTML, each once; `known` has them by digest."""
    return tuple(dict.fromkeys(known[match[1]] for match in _MARKED.finditer(html) if match[1] in known))


def placed(html: str, address: Mapping[str, str]) -> str:
    """Return the HTML with an address for each mark, by digest."""
    return _MARKED.sub(lambda match: address.get(match[1], match[0]), html) if address else html
