"""What runs on a host: which pod holds which GPU, and for how long.

Time is cut into slots of some hours, of another length on each host; within a slot the pods of a host stay as they are.
A plan is a function of (seed, host, slot) alone, so a run that continues another finds the pods it left.
How hard the pods work is left to `load`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Work(IntEnum):
    """What a GPU is used for."""

    IDLE = 0
    TRAINING = 1
    INFERENCE = 2
    NOTEBOOK = 3


@dataclass(frozen=True, slots=True)
class Job:
    """A pod's hold on a GPU; its names are empty where no pod holds it."""

    work: Work
    namespace: str = ""
    pod: str = ""
    container: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A host during one slot, GPU by GPU: the job, how hard it works, how full it keeps the memory, its checkpoints."""

    jobs: tuple[Job, ...]
    work: NDArray[np.int8]
    level: NDArray[np.float64]
    fill: NDArray[np.float64]
    checkpoint_every_s: NDArray[np.float64]
    checkpoint_at_s: NDArray[np.float64]


# The share of a host's GPUs each job takes, in the order of their indexes; hosts take the layouts in turn.
LAYOUTS: tuple[tuple[tuple[Work, float], ...], ...] = (
    ((Work.TRAINING, 1.0),),
    ((Work.TRAINING, 0.5), *(((Work.INFERENCE, 0.125),) * 2), (Work.NOTEBOOK, 0.125), (Work.IDLE, 0.125)),
    ((Work.INFERENCE, 0.125),) * 6,
    ((Work.TRAINING, 0.5), (Work.TRAINING, 0.5)),
    ((Work.NOTEBOOK, 0.125), (Work.TRAINING, 0.25), (Work.INFERENCE, 0.25), (Work.IDLE, 0.25)),
    ((Work.IDLE, 1.0),),
)
TEAMS = {
    Work.TRAINING: (("research", "llm-pretrain"), ("research", "vision-finetune"), ("speech", "asr-train")),
    Work.INFERENCE: (("serving", "chat-completions"), ("serving", "embeddings"), ("search", "reranker")),
    Work.NOTEBOOK: (("notebooks", "jupyter-ines"), ("notebooks", "jupyter-tomasz"), ("notebooks", "jupyter-wei")),
}
CONTAINERS = {Work.TRAINING: "trainer", Work.INFERENCE: "server", Work.NOTEBOOK: "notebook"}


def slot(seed: int, host: int, seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    """The slot of a host that each time lies in."""
    rng = np.random.default_rng((seed, host))
    length, offset = rng.integers(2 * 3600, 9 * 3600), rng.integers(0, 9 * 3600)
    return ((seconds + offset) // length).astype(np.int64)


def plan(seed: int, host: int, gpus: int, slot_number: int) -> Plan:
    """What runs on a host in a slot."""
    rng = np.random.default_rng((seed, host, slot_number))
    jobs: list[Job] = []
    numbers: list[tuple[float, float, float, float]] = []
    for order, (work, share) in enumerate(LAYOUTS[(host + slot_number + seed) % len(LAYOUTS)]):
        taken = min(max(1, round(share * gpus)), gpus - len(jobs))
        jobs += [_job(work, f"{seed}/{host}/{slot_number}/{order}", rng)] * taken
        level, every, at = rng.uniform(0.9, 1.0), rng.uniform(600, 1800), rng.uniform(0, 1800)
        fill = {
            Work.TRAINING: rng.uniform(0.86, 0.95),
            Work.INFERENCE: rng.uniform(0.55, 0.93),
            Work.NOTEBOOK: rng.uniform(0.01, 0.4),
        }.get(work, 0.0)
        numbers += [(level, fill, every, at)] * taken
    idle = gpus - len(jobs)
    jobs += [Job(Work.IDLE)] * idle
    numbers += [(1.0, 0.0, 3600.0, 0.0)] * idle
    level, fill, every, at = np.array(numbers).T
    return Plan(tuple(jobs), np.array([job.work for job in jobs], np.int8), level, fill, every, at)


def _job(work: Work, key: str, rng: np.random.Generator) -> Job:
    if work is Work.IDLE:
        return Job(work)
    teams = TEAMS[work]
    namespace, name = teams[rng.integers(len(teams))]
    token = hashlib.blake2b(key.encode(), digest_size=8).hexdigest()
    pod = {
        Work.TRAINING: f"{name}-{token[:6]}-worker-0",
        Work.INFERENCE: f"{name}-{token[:9]}-{token[9:14]}",
        Work.NOTEBOOK: f"{name}-{token[:4]}-0",
    }[work]
    return Job(work, namespace, pod, CONTAINERS[work])
