"""Tools for tests: programs named as NVIDIA's and AMD's, which answer what a test says, as the real ones write it.

Source of the form: `nvidia-smi` of driver 580 as it was recorded (tests/formats/test_recorded.py), and `amd-smi monitor` as
amdsmi_cli of ROCm/amdsmi prints it: a header before each round, lines that end in CRLF, an empty one behind.
"""

from __future__ import annotations

import sys
from pathlib import Path

UNITS = {"utilization": "%", "memory": "MiB", "power": "W", "enforced": "W", "clocks": "MHz", "fan": "%"}

BEGINNING = f'''\
#!{sys.executable} -S
import datetime, os, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))


def say(*lines):
    os.write(1, "".join(line + "\\n" for line in lines).encode())


def forever():
    while True:
        time.sleep(60)


def starts():
    """How often it was started, this time included."""
    with open(os.path.join(HERE, "starts"), "a+") as file:
        file.write("x")
        file.seek(0)
        return len(file.read())


def now(off_s=0):
    # By the clock of the zone that it runs in, as nvidia-smi.
    at = datetime.datetime.fromtimestamp(time.time() + off_s)
    return at.strftime("%Y/%m/%d %H:%M:%S.%f")[:-3]
'''
NVIDIA_SMI = (
    BEGINNING
    + f"""
UNITS = {UNITS}
"""
    + """
asked = next(each for each in sys.argv if each.startswith("--query-gpu="))[12:].split(",")
loop_s = int(next((each for each in sys.argv if each.startswith("--loop-ms=")), "--loop-ms=0")[10:]) / 1000


def unit(field):
    first = field.split(".")[0]
    return UNITS[first] if first in UNITS else ""


def header():
    names = [field.replace("clocks_throttle", "clocks_event") for field in asked]
    return ", ".join(name + (" [" + unit(name) + "]" if unit(name) else "") for name in names)


def row(gpu, off_s=0, **others):
    cells = {
        "timestamp": now(off_s), "index": str(gpu), "uuid": "GPU-%08x-0000-0000-0000-000000000001" % gpu,
        "name": "NVIDIA H200", "driver_version": "580.159.04", "pstate": "P0", "power.draw": "301.22 W",
        "clocks_event_reasons.active": "0x0000000000000024", "fan.speed": "[N/A]", "remapped_rows.pending": "No",
    } | {name.replace("__", "."): cell for name, cell in others.items()}
    fields = [field.replace("clocks_throttle", "clocks_event") for field in asked]
    return ", ".join(cells.get(field, ("7 " + unit(field)).strip()) for field in fields)


def refuse(*fields):
    for field in fields:
        if field in asked:
            say('Field "' + field + '" is not a valid field to query.', "")
            sys.exit(2)
"""
)
AMD_SMI = (
    BEGINNING
    + """
HEADER = "timestamp,gpu,xcp,power_usage,hotspot_temperature,memory_temperature,gfx,mem,mem_clock,encoder,vram_used"


def round_of(*gpus):
    rows = ["%d,%d,0,301,44,N/A,92,25,2000,\\"[5, 'N/A', 7]\\",25073" % (time.time(), gpu) for gpu in gpus]
    say("\\r\\n".join([HEADER, *rows, ""]), "")
"""
)


def tool(directory: Path, name: str, body: str) -> str:
    """A program of that name in a directory, which does what the body says; its path."""
    path = directory / name
    path.write_text((NVIDIA_SMI if name == "nvidia-smi" else AMD_SMI) + "\n" + body)
    path.chmod(0o755)
    return str(path)
