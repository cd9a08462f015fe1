"""What `scontrol show job -d -o` prints, a job a line: who has which GPUs, and for how long.

docs/CSV_FORMATS.md is the specification. A job has a reading for each of its GPUs: the seconds for which it has had it, at the
time up to which that is known. The command is the header, as it prints none. The settings of the source say the time zone. What
does not say which GPUs a job has is never guessed. Another reading of these bytes is a change of meaning: raise the version.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Self

import numpy as np

from telemetry.formats import records
from telemetry.formats.base import SAY_SO, Format, Pass
from telemetry.formats.dcgm_series import MAX_NAME_BYTES
from telemetry.formats.local_times import judged, local_us
from telemetry.formats.records import BLANKS, Records
from telemetry.formats.rows import Rows
from telemetry.formats.slurm_nodes import nodes, numbers
from telemetry.readings.rows import BLANK, REASON_CODE
from telemetry.readings.series import SeriesKey
from telemetry.readings.slurm import ACCOUNT, COMMAND, JOB, MOST_GPUS, USER
from telemetry.readings.source_settings import SourceSettings
from telemetry.readings.tellers import SLURM, SLURM_HELD, TOLD_BY

# Separates nothing in a line: the whole of it is one field.
NO_DELIMITER = "\t"
OF_JOB = re.compile(r"(?<![^ ])(JobId|UserId|Account|JobState|RunTime|StartTime|EndTime|SuspendTime|SecsPreSuspend)=([^ ]*)")
NEEDED = {"JobId", "UserId", "JobState", "RunTime", "StartTime", "EndTime"}
# Where its GPUs are: one stretch of such groups. Text that its user wrote may look like another, and then it is not read.
GROUP = r"Nodes=([^ ]+) +CPU_IDs=[^ ]* +Mem=[^ ]* +GRES(?:_IDX)?=([^ ]*)"
GROUPS = re.compile(rf"(?<![^ ])(?:{GROUP}(?: +|$))+")
GRES = re.compile(r"[^,(]+(?:\([^)]*\))?")
GPU = re.compile(r"gpu(?::(?P<type>[^:(]*[^:(\d][^:(]*))?(?::(?P<count>\d+))?(?:\(IDX:(?P<indices>[^)]*)\))?", re.ASCII)
# Instances of MIG are numbered by themselves: it is not known on which GPU one is.
MIG = re.compile(r"\d+g\.\d+gb")
SAYS_SOME = re.compile(r"\bgres/gpu(?::[^=]+)?=[1-9]")
ID, WHO = re.compile(r"\d{1,18}", re.ASCII), re.compile(r"(.+)\(\d+\)")
LENGTH = re.compile(r"(?:(\d{1,6})-)?(\d{1,2}):(\d\d):(\d\d)", re.ASCII)
# It has its GPUs now, and no end of its own.
HAS_THEM = {"RUNNING", "COMPLETING", "CONFIGURING", "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED"}
SUSPENDED, PENDING = "SUSPENDED", "PENDING"
NONE = {"", "(null)", "N/A", "None", "Unknown"}
LONGEST_US = 10 * 366 * 86_400 * 1_000_000
BAD_VALUE, BAD_COLUMNS, NO_GPU, LONG_NAME = map(REASON_CODE.__getitem__, ("bad_value", "bad_columns", "no_gpu", "long_name"))


class Job(NamedTuple):
    """What a line says: the series of its GPUs, and from when to when it had them; or why it says nothing."""

    series: list[str]
    start_us: int
    end_us: int
    reason: int = 0


@dataclass(slots=True)
class SlurmJobs(Format):
    """The format under its header."""

    name: ClassVar = "slurm-jobs"
    version: ClassVar = 1
    known_by: ClassVar = f"the line `{COMMAND}` above what that command prints"
    needs: ClassVar = f'time_zone; header = "{COMMAND}" where the file has no such line'

    columns: list[str]
    settings: SourceSettings

    @classmethod
    def of_header(cls, names: list[str], settings: SourceSettings) -> Self | None:
        """The format under its command, if the zone of its times is known."""
        return cls(names, settings) if _is_header(names) and settings.time_zone else None

    @classmethod
    def miss(cls, names: list[str], settings: SourceSettings) -> str:
        """What such a file lacks, or the settings beside it."""
        first = names[0] if names else ""
        if first.startswith("JobId=") and " RunTime=" in ",".join(names):
            return f'it is of {COMMAND}: say header = "{COMMAND}" and time_zone{SAY_SO}'
        if first.startswith("JobId="):
            return f"it has a job in several lines; write a line a job: {COMMAND}"
        if "|" in first and {"JobID", "JobIDRaw"} & set(first.split("|")):
            return (
                f"it is of sacct, which does not say which GPUs a job had; write this once a minute while jobs run: {COMMAND}"
            )
        lacks = _is_header(names) and not settings.time_zone
        return f"it is of {COMMAND}, and its times carry no zone: time_zone{SAY_SO}" if lacks else ""

    @property
    def readings_a_record(self) -> int:
        """One for each GPU of a job."""
        return MOST_GPUS

    def used(self) -> SourceSettings:
        """The zone, and the labels that the settings add."""
        return SourceSettings(time_zone=self.settings.time_zone, labels=self.settings.labels)

    def split(self, block: bytes, *, limit: int, max_record: int, final: bool) -> Records:
        """A record a line."""
        return records.split(block, columns=1, limit=limit, max_record=max_record, final=final, delimiter=NO_DELIMITER)

    def read(self, taken: Records, block: bytes, how: Pass) -> Rows:
        """Give the records of a block their meaning."""
        jobs = [job_of(line.strip(BLANKS), self.settings) for line in taken.columns[0].to_pylist()]
        flags, ends_us = judged([(job.end_us, job.reason) for job in jobs], how)
        places: dict[str, int] = {"": 0}
        codes, record_of = list[int](), list[int]()
        for record, job in enumerate(jobs):
            for text in job.series or [""]:
                codes.append(places.setdefault(text, len(places)))
                record_of.append(record)
        of = np.array(record_of, np.int64)
        held_s = np.array([(job.end_us - job.start_us) / 1_000_000 for job in jobs], np.float64)
        where = (taken.starts, taken.ends, taken.lines, taken.malformed)
        return Rows(block, list(places), np.array(codes, np.int64), flags[of], ends_us[of], held_s[of], *where, of)


def job_of(line: str, settings: SourceSettings) -> Job:
    """What a line says."""
    pairs = OF_JOB.findall(line)
    fields, gpus = dict(pairs), _gpus(line)
    is_whole = len(pairs) == len(fields) and fields.keys() >= NEEDED and ID.fullmatch(fields["JobId"])
    reason = _why_none(fields, gpus, line) if is_whole else BAD_COLUMNS
    start_us, end_us, reason = (0, 0, reason) if reason else _span(fields, settings.time_zone)
    if not reason and not 0 <= end_us - start_us <= LONGEST_US:
        reason = BAD_VALUE
    if reason or not gpus:
        return Job([], 0, 0, reason)
    who = WHO.fullmatch(fields["UserId"])
    owner = {JOB: fields["JobId"], USER: who[1] if who else "", ACCOUNT: fields.get("Account", ""), TOLD_BY: SLURM}
    labels = dict(settings.labels) | {name: value for name, value in owner.items() if value not in NONE}
    if any(len(name.encode()) > MAX_NAME_BYTES for name in (*labels.values(), *(node for node, _ in gpus))):
        return Job([], 0, 0, LONG_NAME)
    return Job([SeriesKey(SLURM_HELD, "", node, index, "", "", labels).text() for node, index in gpus], start_us, end_us)


def _why_none(fields: dict[str, str], gpus: list[tuple[str, int]] | None, line: str) -> int:
    """Why a line says nothing of a GPU; 0 where it does."""
    if fields["JobState"] == PENDING or fields["StartTime"] in NONE:
        return BLANK
    # One that has ended may not say its GPUs any more.
    has_some = fields["JobState"] in HAS_THEM and SAYS_SOME.search(line)
    return 0 if gpus else NO_GPU if gpus is None or has_some else BLANK


def _is_header(names: list[str]) -> bool:
    return len(names) == 1 and names[0].removeprefix("#").strip(BLANKS) == COMMAND


def _gpus(line: str) -> list[tuple[str, int]] | None:
    """Node and index of the GPUs of a job; None where it has some and does not say which."""
    stretches = [match.group() for match in GROUPS.finditer(line)]
    gpus: dict[tuple[str, int], None] = {}
    for where, gres in re.findall(GROUP, stretches[0]) if len(stretches) == 1 else []:
        indices = _indices(gres)
        names = nodes(where, MOST_GPUS) if indices else []
        if indices is None or names is None or len(gpus) + len(names) * len(indices) > MOST_GPUS:
            return None
        gpus |= dict.fromkeys((name, index) for name in names for index in indices)
    return None if len(stretches) > 1 else list(gpus)


def _indices(gres: str) -> list[int] | None:
    """The indices of the GPUs in a list of resources."""
    indices: list[int] = []
    for piece in GRES.findall(gres):
        if not piece.startswith("gpu") or piece[3:4] not in ("", ":", "("):
            continue
        match = GPU.fullmatch(piece)
        if match is None or MIG.search(match["type"] or ""):
            return None
        said = match["indices"] or ""
        read = numbers(said, MOST_GPUS) if said not in NONE else []
        if read is None or len(read) != int(match["count"] or len(read)) or (match["count"] is None and not read):
            return None
        indices += map(int, read)
    return indices


def _span(fields: dict[str, str], zone: str) -> tuple[int, int, int]:
    """From when to when a job is known to have had its GPUs, and 0; or the code of the reason why that is not known."""
    (start_us, reason), state = local_us(fields["StartTime"], zone), fields["JobState"]
    if reason:
        return 0, 0, reason
    suspended = fields.get("SuspendTime", "")
    if state not in HAS_THEM:
        # Up to when it was suspended, or to its end.
        end_us, reason = local_us(suspended if state == SUSPENDED else fields["EndTime"], zone)
        return start_us, end_us, reason
    ran_us, before_us = _length_us(fields["RunTime"]), 0
    if suspended not in NONE:
        # Since it goes on it has run for all but the seconds that it had run before.
        start_of_run_us, reason = local_us(suspended, zone)
        before = fields.get("SecsPreSuspend", "")
        before_us = int(before) * 1_000_000 if ID.fullmatch(before) else -1
    else:
        start_of_run_us = start_us
    if ran_us is None or before_us < 0:
        return 0, 0, BAD_VALUE
    return start_us, start_of_run_us + ran_us - before_us, reason


def _length_us(text: str) -> int | None:
    """The length of a time such as 1-02:03:04, days first."""
    match = LENGTH.fullmatch(text)
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1_000_000
