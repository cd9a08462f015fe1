"""Runs one target until its time is over: bounds on memory and on the time of an input, and the input of a crash is kept."""

from __future__ import annotations

import faulthandler
import logging
import resource
import signal
import time
import traceback
import warnings
from hashlib import sha256
from pathlib import Path
from random import Random

from tests.fuzz.mutations import mutated
from tests.fuzz.targets import TARGETS

# Beyond what the process has once all is imported. Threads' stacks and Arrow's pool are mapped and not used.
MEMORY_BYTES = 3 << 30
# Of a processor, as a machine has other work; and of the clock, as an input may wait for ever.
INPUT_S = 20
WAIT_S = 180


class HangError(BaseException):
    """An input took too long. No handler of ordinary errors catches it."""


def fuzz(name: str, seconds: float, seed: int, kept: Path) -> int:
    """Run a target; returns how many inputs crashed it. Each is kept once for each place that it crashed at."""
    resource.setrlimit(resource.RLIMIT_AS, (_mapped_bytes() + MEMORY_BYTES,) * 2)
    faulthandler.enable()
    warnings.simplefilter("error", ResourceWarning)
    signal.signal(signal.SIGALRM, _hang)
    signal.signal(signal.SIGPROF, _hang)
    # What is said of bad inputs is not of interest here.
    logging.disable(logging.CRITICAL)
    target, random = TARGETS[name], Random(seed)  # noqa: S311 - a run can be made again
    deadline_s, inputs, places = time.monotonic() + seconds, 0, set[str]()
    kept.mkdir(parents=True, exist_ok=True)
    last = kept / f"{name}.last"
    while time.monotonic() < deadline_s:
        data = mutated(random, random.choice(target.good), target.good)
        # A crash of the interpreter leaves this one behind.
        last.write_bytes(data)
        signal.setitimer(signal.ITIMER_PROF, INPUT_S)
        signal.alarm(WAIT_S)
        try:
            target.run(data)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            place = f"{type(error).__name__} {traceback.extract_tb(error.__traceback__)[-1][:3]}"
            if place not in places:
                places.add(place)
                file = kept / f"{name}-{sha256(data).hexdigest()[:12]}"
                file.write_bytes(data)
                print(f"{name}: {file}\n{''.join(traceback.format_exception(error)[-6:])}", flush=True)  # noqa: T201
        finally:
            signal.alarm(0)
            signal.setitimer(signal.ITIMER_PROF, 0)
        inputs += 1
    last.unlink()
    grown_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{name}: {inputs} inputs, {len(places)} crashes, {grown_mib} MiB at most, seed {seed}", flush=True)  # noqa: T201
    return len(places)


def _mapped_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()


def _hang(*_: object) -> None:
    raise HangError(f"an input took more than {INPUT_S} s of a processor, or {WAIT_S} s")
