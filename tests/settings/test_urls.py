"""URLs with several hosts are taken apart in the same way by every version of Python."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

import pytest

from telemetry.settings import Settings, urls


@pytest.mark.parametrize("hosts", ["a:1,[::1]:2,c", "[::1]:1,b:2", "[::1],[::2]:5", "a,b", "[fe80::1]:1", "a:1"])
def test_hosts_in_any_order(hosts: str) -> None:
    parts = urls.split(f"x://u:p%40@{hosts}/db/0?a=b#c")
    assert parts == SplitResult("x", f"u:p%40@{hosts}", "/db/0", "a=b", "c")
    assert (parts.username, parts.password) == ("u", "p%40")


def test_a_python_that_refuses_brackets_behind_the_first_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """As 3.13 does (gh-105704), of which the first test says nothing where an earlier one runs it."""

    def strict(url: str) -> SplitResult:
        parts = urlsplit(url)
        before, bracket, rest = parts.netloc.rpartition("@")[2].partition("[")
        tail = rest.partition("]")[2]
        if bracket and (before or (tail and not tail.startswith(":")) or "[" in tail):
            raise ValueError("Invalid IPv6 URL")
        return parts

    monkeypatch.setattr(urls, "urlsplit", strict)
    made = Settings.load(
        {
            "TELEMETRY_BROKER_URL": "sentinel://a:1,[::1]:2,c/mymaster/0",
            "TELEMETRY_BROKER_PASSWORD": "p@ss",
            "TELEMETRY_DATABASE_URL": "postgresql://u@a:5432,[::1]:5433/t",
            "TELEMETRY_DATABASE_PASSWORD": "p@ss",
        }
    )
    assert made.broker_url == "sentinel://:p%40ss@a:1,[::1]:2,c/mymaster/0"
    assert made.database_url.startswith("postgresql+psycopg://u:p%40ss@/t?host=a,::1&port=5432,5433")


@pytest.mark.parametrize("url", ["redis:b", "redis://[::1/0", "redis://u:[x@b/0", "x://a,[::1/0", "x://a,::1]/0"])
def test_what_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        urls.split(url)
