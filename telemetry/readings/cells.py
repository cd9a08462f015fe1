"""One cell as a number, as tools write them: without arrays, so that whoever reads few of them needs little memory.

`telemetry.formats` reads columns of such cells at once, by these rules; `telemetry.record` reads the lines of a tool by them.
Another reading of a cell is a change of meaning: raise the versions as `telemetry.formats.base` says.
"""

from __future__ import annotations

import math
import re

# What surrounds a cell without being part of it: what `formats.records` takes for blanks.
BLANKS = " \t"
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
# In lower case, without the brackets in which nvidia-smi writes some of them.
NO_VALUE = ("", "nan", "n/a", "not supported", "unknown error", "null", "none", "-", "--")
BRACKETS = "[]"
MASK = re.compile(r"0x[0-9a-f]{1,16}", re.IGNORECASE)
STATE = re.compile(r"P(\d{1,2})", re.ASCII)
# In brackets nvidia-smi says why there is no value: [N/A], [Not Supported], [Unknown Error], [GPU requires reset].
SMI_NO_VALUE = re.compile(r"\[.*\]|n/a|", re.IGNORECASE)
SMI_WORDS = {"enabled": 1.0, "active": 1.0, "yes": 1.0, "disabled": 0.0, "not active": 0.0, "no": 0.0}
LIST = re.compile(r"\[(.*)\]", re.DOTALL)
IN_QUOTES = re.compile(r"'(.*)'|\"(.*)\"", re.DOTALL)


def number(text: str) -> float:
    """The number in a cell, NaN where it says that there is none. Raises ValueError of another text."""
    bare = text.strip(BLANKS)
    if bare.strip(BRACKETS).lower() in NO_VALUE:
        return math.nan
    return _finite(bare)


def smi_number(text: str, unit: str) -> float:
    """The number in a cell of nvidia-smi or its like, NaN for none. Raises ValueError of another text.

    The unit behind it is the one in the header, or none is.
    """
    if SMI_NO_VALUE.fullmatch(text):
        return math.nan
    if MASK.fullmatch(text):
        return float(int(text, 16))
    if state := STATE.fullmatch(text):
        return float(state[1])
    if text.lower() in SMI_WORDS:
        return SMI_WORDS[text.lower()]
    return _finite(text.removesuffix(f" {unit}") if unit else text)


def listed(text: str) -> list[str]:
    """The values of a list as Python writes one, without their quotes; none of a cell that is no list, or an empty one."""
    match = LIST.fullmatch(text)
    if match is None or not match[1].strip(BLANKS):
        return []
    values = [value.strip(BLANKS) for value in match[1].split(",")]
    quoted = [IN_QUOTES.fullmatch(value) for value in values]
    return [bare if quote is None else quote[1] or quote[2] or "" for bare, quote in zip(values, quoted, strict=True)]


def _finite(text: str) -> float:
    value = float(text) if NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise ValueError(text)
    return value
