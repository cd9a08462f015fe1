"""Server-sent events, as the API's live stream writes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def events(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Name and data of each event in the lines of a stream. Comments, ids and waits are passed over."""
    name, data = "message", []
    for line in lines:
        field, _, value = line.partition(":")
        match field:
            case "event":
                name = value.removeprefix(" ")
            case "data":
                data.append(value.removeprefix(" "))
            case "" if not line:
                if data:
                    yield name, "\n".join(data)
                name, data = "message", []
