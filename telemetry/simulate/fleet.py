"""The hardware: hosts, their GPUs, and what each model of GPU can do. What runs on it is left to `jobs`."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Model:
    """A model of GPU. `fb_mib` is what processes can use; `awake_w` is drawn by one that does nothing."""

    name: str
    short: str
    fb_mib: int
    limit_w: float
    asleep_w: float
    awake_w: float
    sm_mhz: int
    asleep_mhz: int
    mem_mhz: int
    nvlink_mb_s: float
    lacks: frozenset[str] = frozenset()


# Neither NVLink nor a temperature sensor in its GDDR memory: the exporter leaves those rows out.
L40S_LACKS = frozenset({"DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL", "DCGM_FI_DEV_MEMORY_TEMP"})

H100 = Model("NVIDIA H100 80GB HBM3", "h100", 81_007, 700, 69, 119, 1980, 345, 2619, 380_000)
A100 = Model("NVIDIA A100-SXM4-80GB", "a100", 81_154, 400, 56, 88, 1410, 210, 1593, 240_000)
L40S = Model("NVIDIA L40S", "l40s", 45_589, 350, 33, 78, 2520, 210, 9001, 0, L40S_LACKS)

# Hosts take their model from this row in turn, so that every small fleet is mixed and most hosts are H100s.
RACK = (H100, A100, H100, L40S, H100, A100, H100, H100)
DRIVERS = {"h100": "535.129.03", "a100": "535.104.12", "l40s": "550.54.15"}


@dataclass(frozen=True, slots=True)
class Host:
    """A node with GPUs of one model. `gpus` are their UUIDs, by index."""

    number: int
    name: str
    model: Model
    driver: str
    gpus: tuple[str, ...]


def build(hosts: int, gpus: int, seed: int) -> tuple[Host, ...]:
    """The fleet of a seed. A host is the same in a larger fleet of that seed, so files of several sizes share GPUs."""
    return tuple(_host(number, gpus, seed) for number in range(hosts))


def _host(number: int, gpus: int, seed: int) -> Host:
    model = RACK[number % len(RACK)]
    identities = tuple(f"GPU-{_uuid(f'{seed}/{number}/{index}')}" for index in range(gpus))
    return Host(number, f"sim-{model.short}-{number + 1:03d}", model, DRIVERS[model.short], identities)


def _uuid(text: str) -> uuid.UUID:
    return uuid.UUID(bytes=hashlib.blake2b(text.encode(), digest_size=16).digest())
