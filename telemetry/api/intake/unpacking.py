"""Unpacks what was uploaded: gzip, which its first bytes reveal, or plain bytes, which stay as they are."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from telemetry.api.core.problems import ProblemError

PIECE_BYTES = 1 << 18
GZIP = b"\x1f\x8b"
# For zlib: a gzip header, and any window.
GZIP_WINDOW = 31


def unpacked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces of a file, none of them empty; of gzip the content, member by member. Raises ProblemError."""
    whole = _with_long_head(iter(pieces))
    piece = next(whole, b"")
    if not piece.startswith(GZIP):
        if piece:
            yield piece
        yield from whole
        return
    gzip = zlib.decompressobj(GZIP_WINDOW)
    try:
        while piece:
            # A bounded piece at a time, however much there is inside.
            if content := gzip.decompress(piece, PIECE_BYTES):
                yield content
            piece = gzip.unconsumed_tail or gzip.unused_data or next(whole, b"")
            if gzip.eof and piece:
                gzip = zlib.decompressobj(GZIP_WINDOW)
    except zlib.error as error:
        raise ProblemError("unreadable_upload", f"the gzip of this file is damaged: {error}; send it again") from None
    if not gzip.eof:
        raise ProblemError("unreadable_upload", "the gzip of this file is incomplete; send all of it")


def _with_long_head(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces, none empty, the first of them long enough to recognise gzip."""
    first = b""
    for piece in pieces:
        first += piece
        if len(first) >= len(GZIP):
            break
    if first:
        yield first
    yield from filter(None, pieces)
