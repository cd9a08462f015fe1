"""The bytes of a file, mapped rather than loaded; of a packed one those of its content, unpacked into a file without a name.

UTF-16 is ASCII in two bytes each; of what is more than ASCII a byte is made that no UTF-8 has, so that it is bad text.
"""

from __future__ import annotations

import gzip
import lzma
import mmap
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

import pyarrow as pa

from telemetry.verify.formats.grammar import Bytes

_PIECE = 1 << 20
_WIDE: dict[bytes, Literal["little", "big"]] = {b"\xff\xfe": "little", b"\xfe\xff": "big"}
_OPENERS: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"\xfd7zXZ\x00": lzma.open,
    b"\x28\xb5\x2f\xfd": lambda path: pa.input_stream(str(path), compression="zstd"),
}


@contextmanager
def opened(path: Path) -> Iterator[Bytes]:
    """The bytes of a file, or of what it holds packed; of a damaged one its own. Raises OSError."""
    with path.open("rb") as stream:
        opener = _opener(stream.read(8))
        with tempfile.TemporaryFile(prefix="telemetry-verify-") as spool:
            is_whole = opener is not None and damage(path, spool) == ""
            with _mapped(spool if is_whole else stream) as data, tempfile.TemporaryFile(prefix="telemetry-verify-") as other:
                if order := _WIDE.get(data[:2]):
                    _narrow(data, order, other)
                    with _mapped(other) as narrow:
                        yield narrow
                    return
                yield data


def damage(path: Path, into: IO[bytes] | None = None) -> str:
    """Why a packed file cannot be unpacked to its end, empty for nothing; its content goes `into` a file. Raises OSError."""
    with path.open("rb") as stream:
        opener = _opener(stream.read(8))
    if opener is None:
        return ""
    try:
        with opener(path) as packed:
            while part := packed.read(_PIECE):
                if into is not None:
                    into.write(part)
    except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        return str(error)
    except OSError as error:
        # Arrow says so of what is damaged, too; but it gives no number.
        if error.errno is not None:
            raise
        return str(error)
    if into is not None:
        into.flush()
    return ""


def _opener(first: bytes) -> Callable[[Path], Any] | None:
    return next((opener for magic, opener in _OPENERS.items() if first.startswith(magic)), None)


def _narrow(data: Bytes, order: Literal["little", "big"], into: IO[bytes]) -> None:
    high, low = (1, 0) if order == "little" else (0, 1)
    for start in range(2, len(data) - 1, 2 * _PIECE):
        piece = data[start : min(start + 2 * _PIECE, len(data) - len(data) % 2)]
        pairs = zip(piece[low::2], piece[high::2], strict=True)
        into.write(bytes(255 if above or value > 127 else value for value, above in pairs))  # noqa: PLR2004 - the last of ASCII
    into.flush()


@contextmanager
def _mapped(stream: IO[bytes]) -> Iterator[Bytes]:
    if not stream.seek(0, 2):
        yield b""
        return
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data
