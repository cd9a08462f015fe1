"""What a file is whose header no format knows, as far as its first bytes tell, and what would mend it.

Words for people alone: nothing is read by what stands here.
"""

from __future__ import annotations

import codecs

from telemetry.formats import records
from telemetry.formats.records import BLANKS
from telemetry.formats.registry import FORMATS, recognise
from telemetry.readings.source_settings import SourceSettings

# The first bytes of packed files: RFC 1952, RFC 8878, the formats of xz and bzip2, and APPNOTE.TXT of PKWARE.
PACKED = {
    b"\x1f\x8b": ("gzip", "zcat"),
    b"\x28\xb5\x2f\xfd": ("zstd", "zstdcat"),
    b"\xfd7zXZ\x00": ("xz", "xzcat"),
    b"BZh": ("bzip2", "bzcat"),
    b"PK\x03\x04": ("zip", "unzip -p"),
}
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
SHOWN = 60
IT_IS = "it is of "


def miss(head: bytes, start: int, settings: SourceSettings) -> str:
    """Why no format knows a file that begins with `head`, whose first record begins at `start`."""
    for magic, (name, command) in PACKED.items():
        if head.startswith(magic):
            return f"it is packed with {name}; unpack it first: {command} FILE | telemetry ingest -"
    if head.startswith(UTF_16):
        return "it is UTF-16; save it as UTF-8"
    line = head[start:].partition(b"\n")[0].rstrip(b"\r")
    if b"\0" in line:
        return "its first line holds NUL bytes; it is no text, or it is UTF-16: save it as UTF-8"
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return "its first line is not UTF-8; save it as UTF-8"
    for separator, words in SEPARATORS.items():
        names = [cell.strip(BLANKS) for cell in text.split(separator)]
        if recognise([name.encode() for name in names], settings) or any(each.miss(names, settings) for each in FORMATS):
            return f"its columns are separated by {words}; separate them by commas"
    # The header that the operator gives may lack something; a comment may be the header that it means to be.
    lines = [settings.header.encode(), *(comment for comment in head[:start].split(b"\n") if comment.startswith(b"#")), line]
    hint = next(filter(None, (_hint(_names(each), settings) for each in lines)), "")
    return hint or f"no format knows its first line as a header: {_shown(text)}"


def _hint(names: list[str], settings: SourceSettings) -> str:
    # That of a format which knows the header comes before that of one which only finds it near.
    hints = [hint for each in FORMATS if (hint := each.miss(names, settings))]
    return min(hints, key=lambda hint: (not hint.startswith(IT_IS), len(hint)), default="")


def _names(line: bytes) -> list[str]:
    cells, _ = records.first(line, max_record=len(line) + 1, final=True) if line else (None, 0)
    return [cell.decode(errors="replace").strip(BLANKS) for cell in cells or []]


def _shown(text: str) -> str:
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}…")
