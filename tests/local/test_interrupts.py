"""The first signal asks, the second kills."""

from __future__ import annotations

import signal

import pytest

from telemetry.local.interrupts import SIGNALS, Interrupts


@pytest.mark.parametrize("sign", SIGNALS)
def test_an_impatient_command_is_interrupted(sign: signal.Signals) -> None:
    before = signal.getsignal(sign)
    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(sign)
        assert interrupts.stopping
    assert signal.getsignal(sign) is before


def test_a_patient_command_is_asked_once_and_then_its_processes_are_killed() -> None:
    killed: list[str] = []
    with Interrupts() as interrupts:
        interrupts.patient = True
        interrupts.victims += [lambda: killed.append("server"), lambda: killed.append("processes")]
        signal.raise_signal(signal.SIGTERM)
        assert (interrupts.stopping, killed) == (True, [])
        signal.raise_signal(signal.SIGINT)
    assert killed == ["server", "processes"]


def test_a_hang_up_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            signal.raise_signal(signal.SIGHUP)
            assert not interrupts.stopping
    finally:
        signal.signal(signal.SIGHUP, before)
