"""Spoils bytes: flips, cuts, repeats and splices, and throws in what parsers stumble over."""

from __future__ import annotations

from random import Random

SPLINTERS = (
    *(
        b"\0",
        b"\xff",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b'"',
        b'""',
        b"'",
        b",",
        b";",
        b"\r",
        b"\n",
        b"\r\n",
        b"\t",
        b" ",
        b"\\",
    ),
    *(b"-", b"-0", b"1e999", b"nan", b"inf", b"9" * 25, b"9" * 5000, b"0x10", b"1_0", b"\xd9\xa1", b"\xc2\xb2", b"2026-02-30"),
    *(
        b"{",
        b"}",
        b"[" * 3000,
        b"{}" * 50,
        b"null",
        b"true",
        b'{"a":' * 2000,
        b"%s%n",
        b"$(id)",
        b"../../",
        b"=1+1",
        b"#" * 70_000,
    ),
)
CHANGES = 6
MAX_BYTES = 1 << 18


def mutated(random: Random, data: bytes, others: tuple[bytes, ...]) -> bytes:
    """The bytes with a few changes; `others` are good bytes of which pieces are thrown in."""
    for _ in range(random.randint(0, CHANGES)):
        at = random.randint(0, len(data))
        end = min(len(data), at + random.choice((0, 1, 2, 8, 64, 500)))
        match random.randrange(6):
            case 0:
                data = data[:at] + bytes([random.randrange(256)]) + data[at + 1 :]
            case 1:
                data = data[:at] + data[end:]
            case 2:
                data = data[:at] + data[at:end] * random.choice((2, 3, 40)) + data[end:]
            case 3:
                other = random.choice(others)
                begin = random.randint(0, len(other))
                data = data[:at] + other[begin : begin + random.choice((8, 64, 500))] + data[end:]
            case 4:
                data = data[:at]
            case _:
                data = data[:at] + random.choice(SPLINTERS) + data[end:]
    return data[:MAX_BYTES]
