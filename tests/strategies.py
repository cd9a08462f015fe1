"""Hypothesis strategies of the field: files of readings, whole and mangled."""

from __future__ import annotations

from random import Random

from hypothesis import strategies as st

# No compression makes these short enough for an index of Postgres, and the first of them is as long as a name may be.
LONG_NAMES = ["".join(Random(0).choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP", k=k)) for k in (1024, 1025, 3000)]  # noqa: S311

HEADER = b"timestamp,metric_name,gpu_id,device,uuid,modelName,Hostname,container,pod,namespace,value,labels_raw\n"
# Those that may stand in the middle of a file: the same, others that a format knows, others that none does, and what is none.
HEADERS = st.sampled_from(
    [
        HEADER,
        b'"timestamp", metric_name ,gpu_id,device,uuid,modelName,Hostname,container,pod,namespace,value,labels_raw\r\n',
        b"timestamp,metric_name,uuid,gpu_id,device,modelName,Hostname,container,pod,namespace,value,labels_raw\n",
        b"metric_name,value,uuid,timestamp\n",
        b"timestamp,metric_name,gpu_id,device,uuid,modelName,Hostname,container,pod,namespace,value,labels_raw,new\n",
        b"timestamp, index, utilization.gpu [%], power.draw [W]\n",
        b"timestamp,metric_name,gpu_id,device,uuid,modelName,Hostname,container,pod,namespace,power,labels_raw\n",
        b"datetime,GPU-0a1b2c3d,host\n",
        b"one,two,three\n",
        b"timestamp,value,metric_name,uuid\n",
    ]
)
# Of the toy format in tests/formats.
WIDE_HEADER = b"time,gpu,DCGM_FI_DEV_GPU_UTIL,DCGM_FI_DEV_POWER_USAGE,DCGM_FI_DEV_GPU_TEMP\n"
CELLS = st.sampled_from(
    [
        *(
            "",
            " ",
            "0",
            "97",
            "-1.5",
            "1e3",
            "+7",
            ".5",
            "5.",
            "nan",
            "N/A",
            "[N/A]",
            "--",
            "unknown",
            "inf",
            "1e999",
            "0x10",
            "1_000",
            "x",
        ),
        *("9223372036854775794", "2147483632", "140737488355328", "2147483640"),
        *("2025-07-18T20:42:34Z", "2025-07-18 20:42:34.1234567+02:00", "2025-02-30T00:00:00Z", "1999-01-01T00:00:00Z"),
        *("2099-01-01T00:00:00Z", "1752871354", "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_XID_ERRORS", "GPU-1", "GPU-2"),
        *(
            'a,b"c',
            "line\nbreak",
            "line\r\nbreak",
            "é",
            "\u00a07",
            'UUID="GPU-3",gpu="1"',
            'pod="p",',
            'exported_pod="q",pod="p"',
            'exported_namespace=""',
            'x="1"y="2"',
            'q="\\""',
        ),
        *("host-1", "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "1\n"),
    ]
)
SPLINTERS = st.sampled_from(
    [
        b'"',
        b'""',
        b",",
        b"\n",
        b"\r",
        b"\r\n",
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        b'"\n',
        b"x" * 300,
        b"\xff\xd8\xff\xe0JFIF",
        # Degrees and micro in Latin-1, and a comma at the end of a record.
        b" \xb0C",
        b"\xb5s",
        b",\n",
        b" ",
    ]
)


def cell(text: str, *, quoted: bool) -> bytes:
    """A cell as a CSV file holds it."""
    raw = text.encode()
    if quoted or any(each in raw for each in b'",\r\n'):
        return b'"' + raw.replace(b'"', b'""') + b'"'
    return raw


@st.composite
def good_rows(draw: st.DrawFn) -> bytes:
    """A row that is a reading."""
    gpu, metric, second = (
        draw(st.integers(0, 3)),
        draw(st.sampled_from(["GPU_UTIL", "POWER_USAGE"])),
        draw(st.integers(0, 59)),
    )
    quoted = draw(st.booleans())
    place, long = draw(st.integers(0, 30)), draw(st.sampled_from([*LONG_NAMES, "é" * 513]))
    texts = [
        f"2025-07-18T20:42:{second:02}Z",
        long if place == 1 else f"DCGM_FI_DEV_{metric}",
        str(gpu),
        f"nvidia{gpu}",
        long if place == 2 else f"GPU-{gpu}",
        "H100",
        long if place == 3 else "host-1",
        *("", draw(st.sampled_from(["", "pod-1"])), "ns"),
        draw(st.sampled_from(["0", "7", "97.5", "100", "", "N/A", "9223372036854775794"])),
        f'gpu="{gpu}",zone="a"',
    ]
    return b",".join(cell(text, quoted=quoted) for text in texts) + draw(st.sampled_from([b"\n", b"\n", b"\r\n"]))


def short_rows() -> st.SearchStrategy[bytes]:
    """A row that is a reading under one of the shorter headers."""
    stamp = b"2025-07-18T20:42:07Z"
    return st.sampled_from([b"M,1,GPU-1," + stamp + b"\n", stamp + b",1,M,GPU-1\n", stamp + b", 0, 92 %, 301.22 W\n"])


@st.composite
def odd_rows(draw: st.DrawFn) -> bytes:
    """A row whose cells may be anything, and of any number."""
    cells = draw(st.lists(CELLS, min_size=11, max_size=13) | st.lists(CELLS, min_size=12, max_size=12))
    return b",".join(cell(each, quoted=draw(st.booleans())) for each in cells) + b"\n"


@st.composite
def wide_rows(draw: st.DrawFn) -> bytes:
    """A row of the toy format, or nearly: its cells may be anything, and now and then it is its header."""
    if draw(st.integers(0, 9)) == 9:
        return WIDE_HEADER
    stamp, gpu = f"2025-07-18T20:42:{draw(st.integers(0, 59)):02}Z", draw(st.sampled_from(["GPU-1", "GPU-2", "", " "]))
    values = draw(st.lists(st.sampled_from(["0", "7", "97.5", "", "N/A", "x"]) | CELLS, min_size=3, max_size=3))
    quoted = draw(st.booleans())
    return b",".join(cell(text, quoted=quoted) for text in (draw(st.just(stamp) | CELLS), gpu, *values)) + b"\n"


def wide_files() -> st.SearchStrategy[bytes]:
    """A file of the toy format, mangled."""
    return mangled(WIDE_HEADER, wide_rows())


def mangled_files() -> st.SearchStrategy[bytes]:
    """A file of readings with odd rows in it, mangled."""
    return mangled(HEADER, good_rows() | good_rows() | odd_rows() | short_rows() | HEADERS)


@st.composite
def mangled(draw: st.DrawFn, header: bytes, rows: st.SearchStrategy[bytes]) -> bytes:
    """A file with splinters thrown in anywhere, its header included."""
    lines = draw(st.lists(rows | st.just(b"\n"), min_size=draw(st.sampled_from([0, 4, 8])), max_size=12))
    data = draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + header + b"".join(lines)
    for _ in range(draw(st.integers(0, 3))):
        low = 0 if draw(st.integers(0, 9)) == 9 else min(len(header) + 3, len(data))
        at = draw(st.integers(low, len(data)))
        gone = draw(st.sampled_from([0, 0, 1, 7]))
        data = data[:at] + draw(SPLINTERS) + data[at + gone :]
    return data[: draw(st.integers(0, len(data)))] if draw(st.integers(0, 9)) == 9 else data
