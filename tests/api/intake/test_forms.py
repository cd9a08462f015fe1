"""The file in a form, whatever pieces the form comes in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from telemetry.api.core.problems import ProblemError
from telemetry.api.intake.forms import file_of

BOUNDARY = "----WebKitFormBoundaryABC-"
START = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'.encode()
CONTENT = b"1,2\r\n--3,---\r\n-"
FILE = START + CONTENT + b"\r\n"
END = f"--{BOUNDARY}--\r\n".encode()
FORM = FILE + END


def pieces(form: bytes, size: int) -> Iterator[bytes]:
    return (form[start : start + size] for start in range(0, len(form), size))


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_the_file_comes_out_whole(size: int) -> None:
    assert b"".join(file_of(pieces(FORM, size), BOUNDARY)) == CONTENT


def test_the_file_comes_out_whole_wherever_the_form_is_split() -> None:
    for at in range(1, len(FORM)):
        assert b"".join(file_of(iter([FORM[:at], FORM[at:]]), BOUNDARY)) == CONTENT, FORM[:at]
        assert b"".join(file_of(iter([FORM[: at - 1], FORM[at - 1 : at], FORM[at:]]), BOUNDARY)) == CONTENT, FORM[:at]


@pytest.mark.parametrize(
    "form",
    [
        b"",
        END,
        FILE,
        FILE + FILE + END,
        FORM.replace(b'name="file"', b'name="other"'),
        FILE + START.replace(b'name="file"; filename="a.csv"', b'name="more"') + b"1\r\n" + END,
    ],
    ids=["empty", "no file", "cut", "two files", "another field", "a field more"],
)
def test_any_other_form_is_refused(form: bytes) -> None:
    with pytest.raises(ProblemError, match="a form must hold one file") as refusal:
        list(file_of(pieces(form, 50), BOUNDARY))
    assert refusal.value.code == "bad_request"
