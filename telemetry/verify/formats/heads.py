"""The header of a file: where it ends, and who reads what follows."""

from __future__ import annotations

from dataclasses import dataclass

from telemetry.verify.formats.base import FormatReader, Rules
from telemetry.verify.formats.grammar import BOM, MAX_RECORD, RECORD, Bytes, cells, text, unreadable, whole
from telemetry.verify.formats.registry import reader_of


@dataclass(frozen=True, slots=True)
class FileHeader:
    """A header that a format knows: the byte behind it, and the reader of what follows."""

    end: int
    reader: FormatReader


def head(data: Bytes, rules: Rules, limit: int = MAX_RECORD) -> FileHeader | None:
    """The header of a file, None if the file is foreign."""
    start = len(BOM) if data[:3] == BOM else 0
    match = whole(RECORD, data, start, limit)
    if match is None or unreadable(match.group()):
        return None
    record = match.group().removesuffix(b"\n").removesuffix(b"\r")
    reader = reader_of(tuple(text(cell) for cell in cells(record)), rules)
    return FileHeader(match.end(), reader) if reader else None
