"""The headers of a file: where its first one ends and who reads what follows, and which lines behind it are headers, too."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from telemetry.verify.formats.base import FormatReader, Rules
from telemetry.verify.formats.grammar import BOM, MAX_RECORD, Bytes, beginning, cells, grammar, text, unreadable, whole
from telemetry.verify.formats.registry import reader_of

_DATE = rb"[A-Z][a-z][a-z] [A-Z][a-z][a-z] [ 0-9][0-9] [0-9:]{8} [0-9]{4}[ \t\r]*"
_ABOVE = re.compile(rb"(?:[ \t]*\r?|[#+|][^\n]*|[sS][eE][pP]=[^\n]*|%b)\n" % _DATE)
_ONLY_ABOVE = re.compile(rb"[ \t\r]*|[#+|][^\n]*|[sS][eE][pP]=[^\n]*")
_FIRST = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_#")
# A header whose recorder put a time before it.
_STAMPED = re.compile(rb"[ \t]*[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]")
_TIME = re.compile(
    r"#? *([a-z]+[_. ]){0,3}(time|date|timestamp|datetime|ts|epoch)([_. ][a-z]+){0,3}( *[\[(].*[\])])?", re.IGNORECASE
)
_UUID = re.compile(r"(gpu|mig)-[0-9a-f-]{6,}", re.IGNORECASE)
_LONGEST, _FEWEST, _LONGEST_LINE = 100, 3, 65_536


@dataclass(frozen=True, slots=True)
class FileHeader:
    """A header that a format knows: the byte behind it, the names in it, and the reader of what follows."""

    end: int
    names: tuple[str, ...]
    reader: FormatReader


def head(data: Bytes, rules: Rules, limit: int = MAX_RECORD) -> FileHeader | None:
    """The header of a file, None if the file is foreign."""
    match = whole(grammar(rules.source.delimiter).record, data, _below_comments(data, rules), limit)
    if match is not None and not unreadable(match.group()) and (known := _known(match.group(), match.end(), rules)):
        while known.end < len(data) and known.reader.repeats(line := _line(data, known.end)):
            known = replace(known, end=known.end + len(line))
        return known
    given = rules.source.header.encode()
    return _known(given, beginning(data), rules) if given else None


def says_nothing(data: Bytes) -> bool:
    """Whether a file has nothing but what may stand above a header."""
    return bool(re.fullmatch(rb"\0*", data) or _ONLY_ABOVE.fullmatch(data, _below_comments(data)))


def header(line: bytes, end: int, rules: Rules) -> FileHeader | tuple[str, ...] | None:
    """What a line among the records, which ends at a place, is as a header: a known one, the names of another, or none."""
    line = line.lstrip(b"\0").removeprefix(BOM)
    bare = line.lstrip(b" \t").removeprefix(b'""')
    bare = bare[1:] if bare[:1] in (b",", b";") else bare
    bare = bare.lstrip(b" \t").removeprefix(b'"').lstrip(b" \t")
    if bare[:1] == b"" or not (bare[0] in _FIRST or _STAMPED.match(line)) or len(line) > _LONGEST_LINE or b"\n" in line[:-1]:
        return None
    if not grammar(rules.source.delimiter).record.fullmatch(line) or unreadable(line):
        return None
    if known := _known(line, end, rules):
        return known if known.reader.is_stamped or not _STAMPED.match(line) else None
    names = _names(line, rules)
    given = [name for name in names if name]
    plausible = all(_is_name(name) for name in given) and any(_TIME.fullmatch(name) for name in given)
    enough = len(given) >= max(_FEWEST, len(names) - 1) and len(set(given)) == len(given)
    return names if plausible and enough else None


def _below_comments(data: Bytes, rules: Rules | None = None) -> int:
    """Where the lines end that may stand above a header; with rules, a comment that is a header ends them."""
    start = beginning(data)
    start += len(BOM) if data[start : start + 3] == BOM else 0
    while above := _ABOVE.match(data, start):
        line = above.group()
        is_record = rules and line[:1] == b"#" and grammar(rules.source.delimiter).record.fullmatch(line)
        if rules and is_record and not unreadable(line) and _known(line, start, rules):
            break
        start = above.end()
    return start


def _line(data: Bytes, start: int) -> bytes:
    end = data.find(b"\n", start)
    return data[start : end + 1] if end >= 0 else data[start : len(data)]


def _known(record: bytes, end: int, rules: Rules) -> FileHeader | None:
    names = _names(record, rules)
    reader = reader_of(names, rules)
    return FileHeader(end, names, reader) if reader else None


def _names(record: bytes, rules: Rules) -> tuple[str, ...]:
    raw = cells(record.removesuffix(b"\n").removesuffix(b"\r"), rules.source.delimiter)
    names = tuple(text(cell) for cell in raw)
    # Behind a comma at the end stands no name; a mapping counts it.
    return names if rules.source.mapping or len(names) == 1 or names[-1] else names[:-1]


def _is_name(name: str) -> bool:
    begins = name[0] in "_#" or (name[0].isascii() and name[0].isalpha())
    return begins and len(name) <= _LONGEST and "\n" not in name and not _UUID.fullmatch(name)
