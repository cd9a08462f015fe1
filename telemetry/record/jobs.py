"""Which Slurm job has which GPU, by the directory that a prolog fills: a file a GPU index, a job's id a line.

That is dcgm-exporter's form (DCGM_HPC_JOB_MAPPING_DIR), and the label is its label, `hpc_job`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from telemetry.record.taken import SourceError, Taken


def with_jobs(readings: Iterable[Taken], directory: Path) -> list[Taken]:
    """The readings, with the job that has their GPU. Of several jobs on one GPU all stand there, with commas between."""
    read = list(readings)
    held = {index: _ids(directory / index) for index in {one.gpu.index for one in read if one.gpu.index.isdigit()}}
    return [replace(one, gpu=one.gpu.under(hpc_job=held[one.gpu.index])) if held.get(one.gpu.index) else one for one in read]


def _ids(path: Path) -> str:
    """The ids in a file; none where there is no file, as no job has the GPU then. Raises SourceError if it cannot be read."""
    try:
        return ",".join(dict.fromkeys(path.read_text(encoding="utf-8", errors="replace").split()))
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
