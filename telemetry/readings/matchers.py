"""Prometheus' matchers of labels: which sets of labels a selector such as `{gpu=~"0|1", pod!=""}` means. Pure.

A label that is not there is an empty one. Regular expressions are RE2's, as Prometheus' are, and match a whole value; RE2 takes
time in proportion to the text, so no expression can hold up a process.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

Operator = Literal["=", "!=", "=~", "!~"]


class Matcher(NamedTuple):
    """A condition on one label."""

    name: str
    operator: Operator
    value: str

    def test(self, values: Iterable[str]) -> Callable[[str], bool]:
        """Whether one of some values fulfils it. Raises ValueError if the regular expression is none."""
        match self.operator:
            case "=":
                return lambda value: value == self.value
            case "!=":
                return lambda value: value != self.value
        different = list(dict.fromkeys(values))
        try:
            # By itself first: a bracket too many would close the group.
            pc.match_substring_regex(pa.array([""]), self.value)
            matched = pc.match_substring_regex(pa.array(different, pa.string()), f"^(?s:{self.value})$").to_pylist()
        except pa.ArrowInvalid as error:
            raise ValueError(f"{self.value!r} is no regular expression of RE2: {error}") from None
        fulfils = {value: is_match == (self.operator == "=~") for value, is_match in zip(different, matched, strict=True)}
        return fulfils.__getitem__


def matching(matchers: Sequence[Matcher], sets: Sequence[Mapping[str, str]], names: Container[str] | None = None) -> list[bool]:
    """Whether each set of labels fulfils all matchers, or all of those that are about some names. Raises ValueError."""
    fulfilled = [True] * len(sets)
    for matcher in matchers:
        if names is not None and matcher.name not in names:
            continue
        values = [labels.get(matcher.name, "") for labels in sets]
        test = matcher.test(values)
        fulfilled = [before and test(value) for before, value in zip(fulfilled, values, strict=True)]
    return fulfilled
