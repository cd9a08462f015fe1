"""What is taken of an endpoint, and what is said of one that gives nothing."""

from __future__ import annotations

from math import isfinite

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from telemetry.record import scrape, taken
from telemetry.record.scrape import Scrape
from telemetry.record.taken import Gpu, SourceError, Taken
from tests.ports import free_port
from tests.record.endpoint import TEXT, endpoint


def test_each_sample_that_names_a_gpu_becomes_a_line() -> None:
    with endpoint(TEXT) as url:
        read = [one for one in Scrape(url, None, 5.0).take() if isfinite(one.value)]
    lines = taken.lines(read, 1_795_849_073.895).decode().splitlines()
    assert lines[0] == (
        '2026-11-28T06:57:53.895Z,DCGM_FI_DEV_GPU_UTIL,0,nvidia0,GPU-a,NVIDIA H100,node-1,c,"train ""1""",team,97,'
        '"DCGM_FI_DRIVER_VERSION=""550.54"",container=""c"",namespace=""team"",pci_bus_id=""00000000:01:00.0"",'
        'pod=""train \\""1\\"""""'
    )
    assert [[*line.split(",")[1:3], line.split(",")[10]] for line in lines[2:]] == [
        ["DCGM_FI_DEV_POWER_USAGE", "0", "401.337"],
        ["DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "0", "7138486613300"],
    ]


def test_other_exporters_names_are_known_and_a_sample_keeps_its_own_time() -> None:
    text = """\
nvidia_smi_temperature_gpu{uuid="GPU-a"} 40 1795849073000
node_disk_info{uuid="8c6f"} 1
DCGM_FI_DEV_GPU_TEMP{gpu="NVIDIA A100"} 1
DCGM_FI_DEV_GPU_TEMP{gpu="1"} 41 NaN
DCGM_FI_DEV_GPU_TEMP{gpu="1",Hostname="c0ffee"} 42 # {t="x"} 1
"""
    known = scrape.Known("node-9")
    one, other = known.readings(text)
    # Again, of labels that are known already.
    assert [*known.readings(text.replace("} 40", "} 4e1"))] == [one, other]
    assert (one.gpu.uuid, one.gpu.host, one.value, one.at_s) == ("GPU-a", "node-9", 40.0, 1_795_849_073.0)
    assert (other.gpu.index, other.gpu.host, other.value, other.at_s) == ("1", "node-9", 42.0, None)
    assert [each.gpu.host for each in scrape.Known(None).readings(text)][1] == "c0ffee"


def test_an_endpoint_that_gives_nothing_is_named_without_its_password() -> None:
    with pytest.raises(SourceError, match=r"http://user:\*\*\*@127.0.0.1:\d+/ cannot be read: .*refused") as told:
        Scrape(f"http://user:secret@127.0.0.1:{free_port()}/", "h", 1.0).take()
    assert "secret" not in str(told.value)
    with endpoint("<html>\n") as url, pytest.raises(SourceError, match="not answer in the format of Prometheus"):
        Scrape(url, "h", 1.0).take()
    for url in ("file:///etc/passwd", "http://", "http://[::1/metrics", "http://h:port/"):
        with pytest.raises(SourceError, match=r"is no .*address"):
            Scrape(url, "h", 1.0)


def test_an_answer_that_breaks_off_is_no_answer() -> None:
    with endpoint('E{UUID="GPU-a"} 71384') as url, pytest.raises(SourceError, match="broke off its answer"):
        Scrape(url, "h", 1.0).take()


def test_labels_that_the_format_has_no_place_for_are_left_out() -> None:
    gpu = Gpu("GPU-a", "0", "", "H\r100", "h", {"l y": "1", "job:x": "2", "pod": "p\rq"})
    line = taken.lines([Taken("M", gpu, 1.0)], 1_795_849_073.0).decode()
    assert line.endswith(',M,0,,GPU-a,H 100,h,,p q,,1,"pod=""p q"""\n')


VALUE = st.sampled_from(
    ["1", "-0.5", "1e3", "NaN", "+Inf", "Inf", "-inf", "1_0", "0x1", "", "7 1795849073000", "7 1795849073.5", "7 x"]
)
LABELS = st.sampled_from(
    [
        'gpu="0"',
        'gpu="0",UUID="GPU-a"',
        'gpu="0",note="a } 1 # {b"',
        'gpu="0",note="\\" \\n,"',
        'gpu="0',
        "",
        'uuid="8c6f"',
        "gpu='0'",
    ]
)


@hypothesis(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["M", "M_gpu", "go"]), LABELS, VALUE, VALUE), min_size=1, max_size=4))
def test_what_is_known_already_is_read_as_the_parser_reads_it(samples: list[tuple[str, str, str, str]]) -> None:
    first, second = ("".join(f"{name}{{{labels}}} {each[n]}\n" for name, labels, *each in samples) for n in (0, 1))
    known = scrape.Known("n")
    told(known, first)
    assert told(known, second) == told(scrape.Known("n"), second)


def told(known: scrape.Known, text: str) -> list[str] | str:
    """What is read, as a text in which a value that is none is equal to another."""
    try:
        return [repr(each) for each in known.readings(text)]
    except ValueError:
        return "no sample"
