"""Reads what `scontrol show job -d -o` prints: a line to the seconds for which a job has had each of its GPUs.

Owns the command that is its header, and how Slurm writes lists of nodes and GPUs.
"""

from __future__ import annotations

import re
from itertools import chain, pairwise
from typing import ClassVar, Self
from zoneinfo import ZoneInfo

from telemetry.readings import slurm, tellers
from telemetry.verify.formats.base import FormatReader, Reading, Rules
from telemetry.verify.formats.dcgm import LONGEST_NAME
from telemetry.verify.formats.grammar import grammar, text
from telemetry.verify.formats.wall_clock import instant

_WORD = re.compile(r"([A-Za-z:/_]+)=([^ ]*)")
_ONCE = {"JobId", "UserId", "Account", "JobState", "RunTime", "StartTime", "EndTime", "SuspendTime", "SecsPreSuspend"}
_MUST = {"JobId", "UserId", "JobState", "RunTime", "StartTime", "EndTime"}
_NOW = {"RUNNING", "COMPLETING", "CONFIGURING", "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED"}
_NOTHING = {"", "(null)", "N/A", "None", "Unknown"}
_PLACE = ["Nodes", "CPU_IDs", "Mem"]
_TEN_YEARS_S = 10 * 366 * 86_400


class SlurmJobsReader(FormatReader):
    """The format under its command. A line is one cell to the grammar."""

    name: ClassVar = "slurm-jobs"
    version: ClassVar = 1
    delimiter = "\t"

    def __init__(self, rules: Rules) -> None:
        one = grammar(self.delimiter)
        self.pattern = re.compile(rb"(?!\r?\n)(%b)%b" % (one.field, one.end))
        self._rules, self._zone = rules, ZoneInfo(rules.source.time_zone)

    @classmethod
    def of_header(cls, names: tuple[str, ...], rules: Rules) -> Self | None:
        """The reader under the command, with or without a hash before it, if the zone is known."""
        is_it = len(names) == 1 and re.fullmatch(r"#?[ \t]*" + re.escape(slurm.COMMAND), names[0])
        return cls(rules) if is_it and rules.source.time_zone else None

    def read(self, pieces: tuple[bytes, ...]) -> list[Reading]:
        """What the job of a line has."""
        line = text(pieces[0])
        words = [word for word in line.split(" ") if word]
        pairs = [match.groups() for match in map(_WORD.fullmatch, words) if match]
        once = [(name, value) for name, value in pairs if name in _ONCE]
        said, gpus = dict(once), _gpus(words)
        reason = _refused(said, gpus, line) if len(once) == len(said) and said.keys() >= _MUST else "bad_columns"
        span = reason or self._span(said)
        if isinstance(span, str) or not gpus:
            return [Reading(str(span))]
        start, end = span
        if not 0 <= end - start <= _TEN_YEARS_S * 1_000_000:
            return [Reading("bad_value")]
        user = re.fullmatch(r"(.+)\([0-9]+\)", said["UserId"])
        owner = {slurm.JOB: said["JobId"], slurm.USER: user[1] if user else "", slurm.ACCOUNT: said.get("Account", "")}
        named = {name: value for name, value in owner.items() if value not in _NOTHING} | {tellers.TOLD_BY: tellers.SLURM}
        labels = dict(self._rules.source.labels) | named
        names = chain(labels.values(), (node for node, _ in gpus))
        ts = "long_name" if any(len(name.encode()) > LONGEST_NAME for name in names) else self._rules.judged(end)
        if isinstance(ts, str):
            return [Reading(ts)]
        keys = (self._rules.series(f"{node}:{index}", tellers.SLURM_HELD, labels) for node, index in gpus)
        return [Reading("", key, ts, (end - start) / 1_000_000) for key in keys]

    def _span(self, said: dict[str, str]) -> tuple[int, int] | str:
        """From when to when, or why that is not known."""
        start = instant(said["StartTime"], self._zone)
        if not isinstance(start, int):
            return start or "bad_timestamp"
        pause, state = said.get("SuspendTime", ""), said["JobState"]
        if state not in _NOW:
            end = instant(pause if state == "SUSPENDED" else said["EndTime"], self._zone)
            return (start, end) if isinstance(end, int) else end or "bad_timestamp"
        ran = re.fullmatch(r"(?:([0-9]{1,6})-)?([0-9]{1,2}):([0-9]{2}):([0-9]{2})", said["RunTime"])
        before = said.get("SecsPreSuspend", "") if pause not in _NOTHING else "0"
        if ran is None or not re.fullmatch(r"[0-9]{1,18}", before):
            return "bad_value"
        days, hours, minutes, seconds = (int(part or 0) for part in ran.groups())
        run_s = days * 86_400 + hours * 3600 + minutes * 60 + seconds - int(before)
        since = start if pause in _NOTHING else instant(pause, self._zone)
        return (start, since + run_s * 1_000_000) if isinstance(since, int) else since or "bad_timestamp"


def _refused(said: dict[str, str], gpus: list[tuple[str, int]] | None, line: str) -> str:
    """Why a line has no reading, empty if it has."""
    if not re.fullmatch(r"[0-9]{1,18}", said["JobId"]):
        return "bad_columns"
    if said["JobState"] == "PENDING" or said["StartTime"] in _NOTHING:
        return "blank"
    says_some = said["JobState"] in _NOW and re.search(r"\bgres/gpu(:[^=]+)?=[1-9]", line)
    return "no_gpu" if gpus is None or (not gpus and says_some) else "" if gpus else "blank"


def _gpus(words: list[str]) -> list[tuple[str, int]] | None:
    """The GPUs that the groups of a line name; None where they do not name all of them."""
    names = [word.partition("=")[0] for word in words]
    groups = [at for at in range(len(words) - 3) if names[at : at + 3] == _PLACE and names[at + 3] in ("GRES", "GRES_IDX")]
    groups = [at for at in groups if "=" in words[at + 3] and words[at] != "Nodes="]
    if any(later - at != 4 for at, later in pairwise(groups)):  # noqa: PLR2004 - the words of a group
        return None
    gpus: dict[tuple[str, int], None] = {}
    for at in groups:
        indices = _indices(words[at + 3].partition("=")[2])
        hosts = _unfolded(words[at].partition("=")[2]) if indices else []
        if indices is None or hosts is None or len(gpus) + len(hosts) * len(indices) > slurm.MOST_GPUS:
            return None
        for host in hosts:
            gpus |= dict.fromkeys((host, index) for index in indices)
    return list(gpus)


def _indices(resources: str) -> list[int] | None:
    """The indices of all GPUs among some resources."""
    indices = []
    for each in re.findall(r"[^,(]+(?:\([^)]*\))?", resources):
        if not re.match(r"gpu(?:[:(]|\Z)", each):
            continue
        head, _, rest = each.partition("(")
        parts = head.split(":")[1:]
        count = int(parts.pop()) if parts and re.fullmatch(r"[0-9]+", parts[-1]) else None
        is_whole = not rest or (rest.startswith("IDX:") and rest.endswith(")"))
        kind = parts[0] if len(parts) == 1 else ""
        if (
            len(parts) > 1
            or (parts and not re.search(r"[^0-9]", kind))
            or not is_whole
            or re.search(r"[0-9]+g\.[0-9]+gb", kind)
        ):
            return None
        shown = rest[4:-1] if rest else ""
        read = _numbers(shown) if shown not in _NOTHING else []
        if read is None or (count is None and not read) or (count is not None and count != len(read)):
            return None
        indices += [int(number) for number in read]
    return indices


def _numbers(ranges: str) -> list[str] | None:
    """The numbers of a list of ranges, as wide as the first of each."""
    digits: list[str] = []
    for each in ranges.split(","):
        match = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", each)
        if match is None:
            return None
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or len(digits) + last - first >= slurm.MOST_GPUS:
            return None
        digits += [str(number).zfill(len(match[1])) for number in range(first, last + 1)]
    return digits


def _unfolded(hosts: str) -> list[str] | None:
    """The names in a list of hosts."""
    parts = re.split(r",(?![^\[]*\])", hosts)
    names: list[str] = []
    for part in parts:
        if not part:
            return None
        made = [""]
        for bare, ranges in re.findall(r"([^\[\]]+)|\[([^\[\]]*)\]", part):
            ends = [bare] if bare else _numbers(ranges)
            if ends is None or len(made) * len(ends) > slurm.MOST_GPUS:
                return None
            made = [begun + end for begun in made for end in ends]
        if re.sub(r"\[[^\[\]]*\]", "", part) != "".join(bare for bare, _ in re.findall(r"([^\[\]]+)|\[([^\[\]]*)\]", part)):
            return None
        names += made
        if len(names) > slurm.MOST_GPUS:
            return None
    return names
