"""Packs files in tests, by each of the packings that are read."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa


def zstd(content: bytes) -> bytes:
    """A frame of zstd with these bytes."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return bytes(sink.getvalue())


PACKERS: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".xz": lzma.compress, ".zst": zstd}


def pack(path: Path, suffix: str = ".gz", *, keep: bool = False) -> Path:
    """Pack a file as the tools do: beside it, and then it goes."""
    packed = path.with_name(path.name + suffix)
    packed.write_bytes(PACKERS[suffix](path.read_bytes()))
    if not keep:
        path.unlink()
    return packed
