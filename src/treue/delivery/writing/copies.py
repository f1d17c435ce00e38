"""The words that a message's version keeps, ready to be written with."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from treue.render.templates.renderer import Renderer
from treue.store import wordings
from treue.store.store import Store


@dataclass(frozen=True)
class Copy:
    """What writes with some words, and their digest; those of the folder, which may be others tomorrow, have none."""

    renderer: Renderer
    digest: str | None = None


class Copies:
    """Renderers of the copies that versions keep. Their files are laid out in a folder, once for each text."""

    def __init__(self, store: Store, renderer: Renderer, folder: Path) -> None:
        self._store, self._renderer, self._folder = store, renderer, folder
        self._made: dict[str, Renderer] = {}

    def of(self, wanted: Collection[tuple[int, str]]) -> dict[tuple[int, str], Copy]:
        """Return the copy of each of some versions and templates; for those without one the workspace's own files."""
        with self._store.reading() as connection:
            digests = wordings.digests(connection, {version_id for version_id, _ in wanted})
            made = {one: self.made_of(connection, digests[one]) for one in wanted if one in digests}
        return {one: made.get(one) or Copy(self._renderer) for one in wanted}

    def made_of(self, connection: Connection, digest: str) -> Copy:
        """Return the copy that has a digest. Raises KeyError where it is not kept."""
        if digest not in self._made:
            folder = self._laid_out(digest, wordings.read(connection, digest))
            self._made[digest] = self._renderer.elsewhere(folder)
        return Copy(self._made[digest], digest)

    def _laid_out(self, digest: str, text: wordings.Words) -> Path:
        """Return the folder that has the files of a text, written whole or not at all."""
        folder = self._folder / digest
        if not folder.is_dir():
            self._folder.mkdir(parents=True, exist_ok=True)
            making = Path(tempfile.mkdtemp(dir=self._folder, prefix=".making-"))
            for path, content in text.files.items():
                (making / path).parent.mkdir(exist_ok=True)
                (making / path).write_bytes(content)
            try:
                making.rename(folder)
            except OSError:  # another process was faster
                shutil.rmtree(making, ignore_errors=True)
        return folder
