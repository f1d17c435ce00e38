"""What a process and its child (`confinement`, `child`) agree on: how they talk, and what the child may have."""

from __future__ import annotations

import struct
from typing import IO

MEMORY = 256 * 1024 * 1024
"""Bytes of address space the child may have."""
KEPT = 64
"""Compiled parts that the child keeps."""
_LARGEST = 16 * 1024 * 1024
"""Bytes of one frame."""
_HEAD = struct.Struct(">I")


def read_frame(source: IO[bytes]) -> bytes | None:
    """Return what was written as one frame, or None at the end."""
    head = _read(source, _HEAD.size)
    if head is None:
        return None
    (length,) = _HEAD.unpack(head)
    return _read(source, length) if length <= _LARGEST else None


def _read(source: IO[bytes], length: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < length:
        some = source.read(min(length - len(parts), 1024 * 1024))
        if not some:
            return None
        parts += some
    return bytes(parts)


def write_frame(target: IO[bytes], content: bytes) -> None:
    """Write a frame, all of it."""
    rest = memoryview(_HEAD.pack(len(content)) + content)
    while rest:
        rest = rest[target.write(rest) :]
