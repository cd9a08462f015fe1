"""Files of each format as people have them: drawn shapes, ends of lines, headers that come again, spellings of numbers.

A row has one value, so that the order of the rows is that of the values. It has the times that it may need, of a day of 2025 in
UTC, one of two GPUs, and the value.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

UUID = "GPU-0f3c1a52-6b7e-4d18-9a3c-2e5b7d9f1c0{gpu}"
LABELS = '"{{""gpu"":""{gpu}"",""uuid"":""' + UUID + '""}}"'
JOB = "JobId={number} JobName=train UserId=ada(1000) Account=(null) JobState=RUNNING RunTime={run} StartTime={start} "
JOB += "EndTime=Unknown SuspendTime=None TRES=node=1,gres/gpu=1 JOB_GRES=gpu:h100:1 Nodes=n CPU_IDs=0-15 Mem=0 "


class Shape(NamedTuple):
    """The lines of a header, and a row."""

    header: str
    row: str


SHAPES = {
    "dcgm": (
        Shape("timestamp,metric_name,uuid,value", "{iso},POWER," + UUID + ",{value}"),
        Shape(
            "value,Hostname,gpu_id,labels_raw,metric_name,timestamp",
            '"{value}","n","{gpu}","pod=""a,b"",rack=""r1""","DCGM_FI_DEV_POWER_USAGE","{iso}"',
        ),
    ),
    "dcgm-fields": (
        Shape("GPUId,TimeStampUs,Field,Values", "{gpu},{at}000000,power_usage,{value}"),
        Shape("Values,Field,TimeStampUs,GPUId", "{value},new_field,{at}000000,{gpu}"),
    ),
    "nvidia-smi": (
        Shape("timestamp, index, power.draw [W]", "{local}, {gpu}, {value} W"),
        Shape("index, power.draw [W], timestamp, fan.speed [%]", "{gpu}, {value}, {local}, [N/A]"),
        Shape(
            "timestamp, uuid, name, clocks_throttle_reasons.active, clocks_event_reasons.active, new.field [J], pstate",
            "{local}, " + UUID + ", NVIDIA H200, [N/A], 0x1, {value} J, [Unknown Error]",
        ),
    ),
    "nvidia-smi-apps": (
        Shape("timestamp, gpu_uuid, pid, used_gpu_memory [MiB]", "{local}, " + UUID + ", 7, {value} MiB"),
        Shape(
            "timestamp, gpu_name, gpu_uuid, pid, process_name, used_gpu_memory [MiB]",
            "{local}, NVIDIA H200, " + UUID + ", 7, /opt/a, b/python3, {value}",
        ),
    ),
    "nvidia-smi-dmon": (
        Shape("#Date Time gpu pwr", "{date} {clock} {gpu} {value}"),
        Shape(
            "#Date        Time         gpu    mtemp  fb\n#YYYYMMDD    HH:MM:SS     Idx      C      MB",
            " {date}    {clock}       {gpu}    -  {value}",
        ),
        Shape("#Date, Time, gpu, pwr, new", " {date}, {clock}, {gpu}, {value}, -"),
    ),
    "nvidia-smi-pmon": (
        Shape("#Date Time gpu pid sm command", "{date} {clock} {gpu} 7 {value} job"),
        Shape("#Date Time gpu pid type fb sm command", " {date}   {clock}  {gpu}  7  C  {value}  -  python3 a.py"),
    ),
    "dcgmi-dmon": (
        Shape("{iso}, #Entity POWER\n{iso}, ID", "{iso}, GPU {gpu} {value}"),
        Shape("{iso}, #Entity   NEW    SMACT  \n{iso}, ID         W", "{iso}, GPU {gpu}     N/A   {value}   "),
    ),
    "amd-smi": (
        Shape("timestamp,gpu,socket_power", "{at},{gpu},{value}"),
        Shape("timestamp,gpu,xcp,power_usage,hotspot_temperature,new", "{at},{gpu},0,N/A,ENABLED,{value}"),
        Shape("gpu,timestamp,vcn_activity,hotspot", "{gpu},{at},\"['N/A', {value}]\",N/A"),
    ),
    "rocm-smi": (
        Shape("{iso}, device,GPU use (%)", "{iso}, card{gpu},{value}"),
        Shape("{iso}, device,Fan speed (%),New (J),Card Series", "{iso}, card{gpu},N/A,{value},MI300X"),
    ),
    "xpu-smi": (
        Shape("{iso}, Timestamp, DeviceId, GPU Power (W)", "{iso}, 10:00:00.000, {gpu}, {value}"),
        Shape("{iso}, Timestamp, DeviceId, TileId, power.draw (W), New", "{iso}, 10:00:00.000,  {gpu}, 1, {value},  N/A"),
    ),
    "xpu-smi-query": (
        Shape("timestamp, index, power.draw (W)", "{local}, {gpu}, {value}"),
        Shape("energy.consumed (J), name, timestamp, fan.speed (%), uuid", "{value}, Arc, {local}, N/A, u-{gpu}"),
    ),
    "hl-smi": (
        Shape("timestamp, index, utilization.aip [%]", "Fri Jul 18 {clock} UTC 2025, {gpu}, {value} %"),
        Shape("timestamp, uuid, power.draw [W], temperature.aip [C]", "Fri Jul 18 {clock} UTC 2025, u-{gpu}, {value}, N/A"),
    ),
    "kempnerpulse": (
        Shape("timestamp,gpu_id,real_util_pct", "{at},{gpu},{value}"),
        Shape("timestamp,gpu_id,model,power_w,real_util_pct,status", "{at}.0,{gpu},H100,{value},,IDLE"),
    ),
    "fleetint": (
        Shape("timestamp,component,metric_name,value,labels", "{iso},c,dcgm_fi_dev_power_usage,{value}," + LABELS),
        Shape("timestamp,component,metric_name,value,labels", '"{iso}","c","new","{value}",' + LABELS),
    ),
    "labelled": (
        Shape('Time,"DCGM_FI_DEV_POWER_USAGE{{gpu=""0"", Hostname=""n""}}"', "{iso},{value}"),
        Shape('"Time","{{__name__=""M"", UUID=""u""}}","N{{gpu=""1"", Hostname=""n""}}"', '{at}000,"{value}",null'),
    ),
}
# Their values are whole: codes of XIDs, and seconds.
WHOLE = {
    "fleetint-events": (
        Shape(
            "timestamp,component,event_name,event_type,message",
            "{iso},x,error_xid,Fatal,XID {value} it is lost detected on GPU PCI:0000:c6:00 UUID:" + UUID,
        ),
    ),
    "slurm-jobs": (Shape("# scontrol show job -d -o", JOB + "GRES=gpu:h100:1(IDX:{gpu})"),),
}
BEGIN_S = 1_752_829_200


def numbers(draw: random.Random) -> Iterator[float]:
    """Doubles of any bits, and of the kinds that people meet."""
    yield from (0.1, 1 / 3, 2**53 - 1.0, 1e-300, 301.22)
    while True:
        (value,) = struct.unpack("<d", draw.randbytes(8))
        if 1e-290 < abs(value) < 1e290:
            yield value


def whole_numbers(draw: random.Random) -> Iterator[float]:
    """Whole numbers that a job may last, and an XID may be."""
    while True:
        yield float(draw.randrange(1, 200))


def spelt(value: float, draw: random.Random) -> str:
    """A number in a spelling that is the same number."""
    plus = "" if value < 0 else draw.choice(("", "", "+"))
    return plus + draw.choice((repr(value), repr(value).upper(), f"{value:.17e}", f"{value:.16E}"))


def drawn(name: str, seed: int, count: int) -> tuple[bytes, list[float]]:
    """A file of a format, and the values in it in the order of their times."""
    draw = random.Random(f"{name} {seed}")  # noqa: S311 - the same each time
    shape = draw.choice((SHAPES | WHOLE)[name])
    is_whole = name in WHOLE
    values = [value for value, _ in zip((whole_numbers if is_whole else numbers)(draw), range(count), strict=False)]
    header = shape.header.format(**times(BEGIN_S))
    lines = header.split("\n")
    for number, value in enumerate(values):
        if draw.random() < 0.1:
            lines += draw.choice((header.split("\n"), [""]))
        of_row = times(BEGIN_S + number, int(value) if is_whole else 0)
        text = str(int(value)) if is_whole else spelt(value, draw)
        lines.append(shape.row.format(value=text, gpu=draw.randrange(2), number=number + 1, **of_row))
    end = draw.choice(("\n", "\r\n"))
    mark = draw.choice((b"", b"\xef\xbb\xbf"))
    return mark + "".join(line + end for line in lines).encode(), values


def times(at_s: int, lasted_s: int = 0) -> dict[str, str]:
    """A second as the tools write it, and the beginning of what lasted that long then."""
    moment, began = (datetime.fromtimestamp(each, UTC) for each in (at_s, at_s - lasted_s))
    forms = {"iso": "%Y-%m-%dT%H:%M:%SZ", "local": "%Y/%m/%d %H:%M:%S.000", "date": "%Y%m%d", "clock": "%H:%M:%S"}
    minutes, seconds = divmod(lasted_s, 60)
    said = {name: moment.strftime(form) for name, form in forms.items()}
    return said | {"at": str(at_s), "start": began.strftime("%Y-%m-%dT%H:%M:%S"), "run": f"00:{minutes:02}:{seconds:02}"}
