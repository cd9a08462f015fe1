"""Texts of strangers on a terminal: names of edges, paths and labels may hold anything, and no line may forge another."""

from __future__ import annotations


def plain(text: str) -> str:
    """The text with what cannot be printed, such as a line break or the beginning of a colour, written as Python writes it."""
    return text if text.isprintable() else "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
