"""Lists as Slurm writes them: of nodes, `n[01-04,7],login`, and of the indices of GPUs, `0-1,3`."""

from __future__ import annotations

import math
import re
from itertools import product

# A name with brackets in it, of a list; commas inside brackets separate numbers.
NODE = re.compile(r"(?:[^\[\],]|\[[^\[\]]*\])+")
PIECE = re.compile(r"\[([^\]]*)\]|[^\[]+")
RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?", re.ASCII)


def nodes(text: str, most: int) -> list[str] | None:
    """The names in a list of nodes; None where it cannot be read, or has more than `most`."""
    parts, names = NODE.findall(text), list[str]()
    for part in parts:
        pieces = [numbers(match[1], most) if match[1] is not None else [match[0]] for match in PIECE.finditer(part)]
        read = [piece for piece in pieces if piece is not None]
        if len(read) < len(pieces) or len(names) + math.prod(map(len, read)) > most:
            return None
        names += map("".join, product(*read))
    # Where the parts are not all of it, there is a bracket or a comma too many.
    return names if names and ",".join(parts) == text else None


def numbers(text: str, most: int) -> list[str] | None:
    """The numbers in a list of ranges, with the zeros before them; None where it cannot be read, or has more than `most`."""
    digits: list[str] = []
    for part in text.split(","):
        match = RANGE.fullmatch(part)
        if match is None:
            return None
        low, high = int(match[1]), int(match[2] or match[1])
        if not 0 <= high - low < most - len(digits):
            return None
        digits += [f"{number:0{len(match[1])}}" for number in range(low, high + 1)]
    return digits
