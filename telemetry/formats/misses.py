"""What a file is whose header no format knows, as far as its first bytes tell, and what would mend it.

Words for people alone: nothing is read by what stands here.
"""

from __future__ import annotations

from telemetry.formats import records
from telemetry.formats.records import BLANKS
from telemetry.formats.registry import kinds, names_in, recognise
from telemetry.readings.source_settings import SourceSettings

# The first bytes of packed files that are not unpacked here: the format of bzip2, and APPNOTE.TXT of PKWARE.
PACKED = {
    b"BZh": ("bzip2", "bzcat"),
    b"PK\x03\x04": ("zip", "unzip -p"),
}
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
SHOWN = 60
IT_IS = "it is of "


def miss(head: bytes, start: int, settings: SourceSettings) -> str:
    """Why no format knows a file that begins with `head`, whose first record begins at `start`."""
    for magic, (name, command) in PACKED.items():
        if head.startswith(magic):
            return f"it is packed with {name}; unpack it first: {command} FILE | telemetry ingest -"
    line = head[start:].partition(b"\n")[0].rstrip(b"\r")
    if b"\0" in line:
        return "its first line holds NUL bytes; it is no text, or it is UTF-16 without its mark: save it as UTF-8"
    if not records.is_text(line):
        return "its first line is not UTF-8, or it is UTF-16 with more than ASCII; save it as UTF-8"
    text = records.decoded(line)
    offers = kinds(settings)
    for separator, words in () if settings.mapping else SEPARATORS.items():
        names = [cell.strip(BLANKS) for cell in text.split(separator)]
        is_known = recognise([name.encode() for name in names], settings) or any(each.miss(names, settings) for each in offers)
        if separator in text and is_known:
            return f"its columns are separated by {words}; separate them by commas"
    # The header that the operator gives may lack something; a comment may be the header that it means to be. Of a mapping,
    # which is near to any line, no comment is asked.
    given = [settings.header.encode()] if settings.header else []
    comments = [each for each in head[:start].split(b"\n") if each.startswith(b"#") and not settings.mapping]
    hint = next(filter(None, (_hint(each, settings) for each in (*given, *comments, line))), "")
    return hint or f"no format knows its first line as a header: {_shown(text)}{_mend(text)}"


def _hint(line: bytes, settings: SourceSettings) -> str:
    """What the format says that a line is nearest to. That of a format which knows it goes before that of one which is near."""
    length, delimiter = len(line) + 1, settings.delimiter
    cells, _ = records.first(line, max_record=length, final=True, delimiter=delimiter) if line else (None, 0)
    names = names_in(cells or [], settings) or []
    hints = [hint for each in kinds(settings) if (hint := each.miss(names, settings))]
    return min(hints, key=lambda hint: (not hint.startswith(IT_IS), len(hint)), default="")


def _mend(text: str) -> str:
    """What to do about a line that may be the header of a wide file."""
    if not any(separator in text for separator in ",;\t"):
        return ""
    return "; if it is a table of measurements with their time, `telemetry formats suggest FILE` says how to read it"


def _shown(text: str) -> str:
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}…")
