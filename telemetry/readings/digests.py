"""Names derived from bytes: the fingerprint of a source and the id of a batch. Pure functions, the same everywhere."""

from __future__ import annotations

from hashlib import sha256

from telemetry.readings.extent import Extent

# An index of Postgres holds rows of some 2,700 bytes; a path stands in one with an edge and a fingerprint (`wire`).
MAX_PATH_BYTES = 1024
KEPT_BYTES = 480


def digest(data: bytes | memoryview) -> str:
    """32 hex digits that stand for some bytes."""
    # Processors have instructions for SHA-256: where they do, it is twice as fast as BLAKE2.
    return sha256(data).hexdigest()[:32]


def fingerprint(header: bytes, first_record: bytes) -> str:
    """What a source is known by, whatever its path: a digest of header and first record as they stand in the file."""
    return digest(header + first_record)


def source_id(fingerprint: str, path: str) -> str:
    """The registry's key of a source at a path: a copy of a file is a source of its own."""
    return digest(f"{fingerprint}\0{path}".encode(errors="surrogateescape"))


def batch_id(content: str, extent: Extent, fingerprint: str, anchor: int | None, interpretation: str) -> str:
    """The id of the batch of a stretch of a source: of the digest of its content, its bytes, its source, and how it was read.

    The same bytes read the same way have the same id, so a batch published again is known again.
    """
    place = (str(extent.start), str(extent.end))
    parts = (content, *place, fingerprint, "" if anchor is None else str(anchor), interpretation)
    return digest("\0".join(parts).encode())


def wire_path(path: object) -> str:
    """A path as text that can be stored and shown: not every name of a file is UTF-8, or short enough for an index.

    The middle of a longer one becomes a digest of it all. What has been shortened stays as it is.
    """
    text = str(path).encode(errors="surrogateescape").decode(errors="replace")
    data = text.encode()
    if len(data) <= MAX_PATH_BYTES:
        return text
    beginning, end = data[:KEPT_BYTES].decode(errors="ignore"), data[-KEPT_BYTES:].decode(errors="ignore")
    return f"{beginning}…{digest(data)}…{end}"
