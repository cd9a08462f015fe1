"""The file in a form (multipart/form-data), straight from the wire: Flask would first keep a copy of it elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from telemetry.api.core.problems import ProblemError

# The headers of a form before the bytes of its file.
MAX_HEAD_BYTES = 1 << 20


def file_of(pieces: Iterator[bytes], boundary: str) -> Iterator[bytes]:
    """The bytes of the one file of a form. Raises ProblemError for any other form, also in the middle of the file."""
    decoder = MultipartDecoder(boundary.encode(errors="replace"), max_form_memory_size=MAX_HEAD_BYTES)
    whole = _without_split_dashes(pieces)
    files = 0
    try:
        while True:
            match decoder.next_event():
                case NeedData():
                    decoder.receive_data(next(whole, None))
                case File(name="file") if not files:
                    files += 1
                case File() | Field():
                    raise _bad_form()
                case Data(data=data):
                    yield data
                case Epilogue():
                    break
    except ValueError:
        raise _bad_form() from None
    if not files:
        raise _bad_form()


def _without_split_dashes(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes, of which no piece ends between the two dashes of a closing boundary.

    Werkzeug's decoder adds a carriage return to the file there.
    """
    held = b""
    for piece in pieces:
        joined = held + piece
        dashes = min(2, len(joined) - len(joined.rstrip(b"-")))
        end = len(joined) - dashes
        held = joined[end:]
        if end:
            yield joined[:end]
    if held:
        yield held


def _bad_form() -> ProblemError:
    return ProblemError("bad_request", "a form must hold one file, in the field `file`, and nothing else")
