"""Any number that a file of any format holds is in the database bit for bit."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine

from telemetry.formats.registry import FORMATS
from telemetry.settings import Settings, sources_file
from tests.fixtures.services import Query
from tests.formats.test_stored import stored

UUID = "GPU-0f3c1a52-6b7e-4d18-9a3c-2e5b7d9f1c04"
LABELS = '"{{""uuid"":""' + UUID + '""}}"'
# The lines of a header, and a row with the times that it may need (of a day of 2025 in UTC) and a value.
SHAPES = {
    "dcgm": ("timestamp,metric_name,uuid,value", "{iso},POWER," + UUID + ",{value}"),
    "dcgm-fields": ("GPUId,TimeStampUs,Field,Values", "0,{at}000000,power_usage,{value}"),
    "nvidia-smi": ("timestamp, index, power.draw [W]", "{local}, 0, {value} W"),
    "nvidia-smi-apps": ("timestamp, gpu_uuid, pid, used_gpu_memory [MiB]", "{local}, " + UUID + ", 7, {value} MiB"),
    "nvidia-smi-dmon": ("#Date Time gpu pwr", "{date} {clock} 0 {value}"),
    "nvidia-smi-pmon": ("#Date Time gpu pid sm command", "{date} {clock} 0 7 {value} job"),
    "dcgmi-dmon": ("{iso}, #Entity POWER\n{iso}, ID", "{iso}, GPU 0 {value}"),
    "amd-smi": ("timestamp,gpu,socket_power", "{at},0,{value}"),
    "rocm-smi": ("{iso}, device,GPU use (%)", "{iso}, card0,{value}"),
    "xpu-smi": ("{iso}, Timestamp, DeviceId, GPU Power (W)", "{iso}, 10:00:00.000, 0, {value}"),
    "xpu-smi-query": ("timestamp, index, power.draw (W)", "{local}, 0, {value}"),
    "hl-smi": ("timestamp, index, utilization.aip [%]", "Fri Jul 18 {clock} UTC 2025, 0, {value} %"),
    "kempnerpulse": ("timestamp,gpu_id,real_util_pct", "{at},0,{value}"),
    "fleetint": ("timestamp,component,metric_name,value,labels", "{iso},c,dcgm_fi_dev_power_usage,{value}," + LABELS),
    "labelled": ('Time,"DCGM_FI_DEV_POWER_USAGE{{gpu=""0"", Hostname=""n""}}"', "{iso},{value}"),
}
COUNT, BEGIN_S = 40, 1_752_829_200
SAID = sources_file.Rule("*", time_zone="UTC", host="node")


def numbers() -> Iterator[float]:
    """Doubles of any bits, and of the kinds that people meet."""
    draw = random.Random(17)  # noqa: S311 - the same each time
    yield from (0.1, 1 / 3, 2**53 - 1.0, 1e-300, 301.22)
    while True:
        (value,) = struct.unpack("<d", draw.randbytes(8))
        if 1e-290 < abs(value) < 1e290:
            yield value


def test_no_format_with_values_is_left_out() -> None:
    # `mapped` has a test of its own; the value of an event stands in no cell, and jobs last whole seconds.
    assert set(SHAPES) == {each.name for each in FORMATS} - {"mapped", "fleetint-events", "slurm-jobs"}


@pytest.mark.parametrize("name", SHAPES)
def test_each_bit_survives(
    name: str, settings: Settings, redis_client: redis.Redis, engine: Engine, query: Query, tmp_path: Path
) -> None:
    header, row = SHAPES[name]
    values = [value for value, _ in zip(numbers(), range(COUNT), strict=False)]
    path = tmp_path / "a.csv"
    lines = [header.format(**times(BEGIN_S)), *(row.format(value=repr(v), **times(BEGIN_S + n)) for n, v in enumerate(values))]
    path.write_text("".join(f"{line}\n" for line in lines))
    edge, outcome = stored(path, replace(settings, source_settings=(SAID,)), redis_client, engine)
    assert {batch.source.format for batch in edge.published} == {name}
    assert outcome.differences() == {}
    found = [value for (value,) in query("SELECT value FROM samples ORDER BY ts")]
    assert [value.hex() for value in found] == [value.hex() for value in values]


def times(at_s: int) -> dict[str, str]:
    """A second as the tools write it."""
    moment = datetime.fromtimestamp(at_s, UTC)
    forms = {"iso": "%Y-%m-%dT%H:%M:%SZ", "local": "%Y/%m/%d %H:%M:%S.000", "date": "%Y%m%d", "clock": "%H:%M:%S"}
    return {"at": str(at_s)} | {name: moment.strftime(form) for name, form in forms.items()}
