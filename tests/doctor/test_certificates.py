"""Certificates that are right, expired, of another host, of another authority, or all of that at once."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from telemetry.doctor.address import Address, Tls
from telemetry.doctor.certificates import Certificate, Seen, judge_chain, judge_expiry
from tests.doctor.certificate import Authority, shown


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca") / "own").make()


def verdicts(authority: Authority, files: tuple[Path, Path], ca: Path, *, as_postgres: bool = False) -> dict[str, str]:
    with shown(*files, as_postgres=as_postgres) as port:
        tls = Tls(checks_chain=True, checks_name=True, ca=str(ca))
        certificate = Certificate(Address("TELEMETRY_BROKER_URL", "localhost", port, tls=tls, starts_plain=as_postgres), tls)
        assert certificate.encryption().verdict == "ok"
    asked = {"chain": certificate.chain(), "name": certificate.name(), "expiry": certificate.expiry()}
    assert all(judgement.mend for judgement in asked.values() if judgement.verdict != "ok")
    return {name: judgement.verdict for name, judgement in asked.items()}


@pytest.mark.parametrize("as_postgres", [False, True])
@pytest.mark.parametrize(
    ("host", "days", "wrong"),
    [
        ("localhost", 90, {}),
        ("localhost", 3, {"expiry": "warning"}),
        ("localhost", -30, {"expiry": "failed"}),
        ("elsewhere", 90, {"name": "failed"}),
        ("elsewhere", -30, {"name": "failed", "expiry": "failed"}),
    ],
)
def test_each_fault_is_told_apart(authority: Authority, host: str, days: int, wrong: dict[str, str], as_postgres: bool) -> None:
    files = authority.sign(host, days=days)
    assert verdicts(authority, files, authority.file, as_postgres=as_postgres) == {
        **dict.fromkeys(("chain", "name", "expiry"), "ok"),
        **wrong,
    }


def test_a_certificate_of_another_authority_is_refused(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other", "another CA").make()
    assert verdicts(authority, authority.sign("localhost"), other.file)["chain"] == "failed"


def test_a_wrong_name_says_which_names_it_has(authority: Authority) -> None:
    with shown(*authority.sign("elsewhere")) as port:
        tls = Tls(checks_chain=True, checks_name=True, ca=str(authority.file))
        certificate = Certificate(Address("TELEMETRY_BROKER_URL", "localhost", port, tls=tls), tls)
        certificate.encryption()
    assert certificate.name().says == "the certificate is for elsewhere, not for localhost"


def test_a_chain_that_is_refused_for_another_reason_is_not_called_good() -> None:
    year = datetime.now(UTC).timestamp() + 365 * 86_400
    seen = Seen(refused="certificate has expired", begins_s=0, ends_s=year)
    assert judge_chain(seen, None).verdict == "failed"


def test_dates() -> None:
    seen = Seen(
        begins_s=ssl.cert_time_to_seconds("Jan  1 00:00:00 2026 GMT"),
        ends_s=ssl.cert_time_to_seconds("Feb  1 00:00:00 2026 GMT"),
    )
    told = {
        (month, day): judge_expiry(seen, datetime(2026, month, day, 12, tzinfo=UTC)).verdict
        for month, day in ((1, 2), (1, 25), (2, 1))
    }
    assert told == {(1, 2): "ok", (1, 25): "warning", (2, 1): "failed"}
    assert judge_expiry(seen, datetime(2025, 12, 31, tzinfo=UTC)).verdict == "failed"


def test_a_port_without_tls_and_a_missing_file() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = Address("TELEMETRY_BROKER_URL", "127.0.0.1", server.getsockname()[1])
        missing = Certificate(address, Tls(checks_chain=True, checks_name=True, ca="/nowhere/ca.crt")).encryption()
    assert missing.verdict == "failed"
    assert "/nowhere/ca.crt" in missing.says


def test_a_server_that_takes_the_connection_and_is_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = Address("TELEMETRY_BROKER_URL", "127.0.0.1", server.getsockname()[1])
        silent = Certificate(address, Tls(checks_chain=True, checks_name=True)).encryption()
    assert (silent.verdict, silent.says) == ("failed", "the connection is taken, and nothing comes back on it")
    assert "a firewall or proxy on the way to 127.0.0.1:" in silent.mend
