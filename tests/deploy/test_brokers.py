"""Several brokers in an inventory: all sites get the list, and an edge takes the one that is named, or one by its own name."""

from __future__ import annotations

from pathlib import Path

import pytest

from telemetry.deploy.inventory import InventoryError, checked, read
from tests.chart.rendering import merged, pods, render, values_of, variables
from tests.deploy.conftest import Stage
from tests.deploy.test_credentials import held, upgraded

FLEET = """
[redis]
port = 6379
tls = false

[[broker]]
name = "north"
host = "redis-north"

[[broker]]
name = "south"
sentinels = ["s1", "s2"]
service = "telemetry"
port = 6390

[[broker]]
name = "old"
host = "redis-old"
drained = true

[central]
context = "main"

[[edge]]
context = "gpu-1"
broker = "south"

[[edge]]
context = "gpu-2"
"""
GIVEN = {
    "TELEMETRY_DEPLOY_REDIS_PASSWORD": "word",
    "TELEMETRY_DEPLOY_SENTINEL_PASSWORD": "w4tch",
    "TELEMETRY_DEPLOY_DB_PASSWORD": "d4tabase",
}
URLS = "north=redis://redis-north:6379/0 south=sentinel://s1,s2/telemetry/0 old=redis://redis-old:6379/0"


def test_all_sites_get_the_list_and_each_edge_says_its_broker(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "fleet.toml").write_text(FLEET)
    done = stage.run("deploy-all", "--inventory", str(tmp_path / "fleet.toml"), **GIVEN)
    assert done.returncode == 0, done.stdout + done.stderr
    made = upgraded(stage)
    seen: dict[str, list[str]] = {site: [] for site in made}
    for site, component in (("edge gpu-1", "streamer"), ("edge gpu-2", "streamer"), ("central main", "collector")):
        whole = merged(values_of(f"values-{site.split()[0]}-cluster.yaml"), made[site])
        for name, pod in pods(render(whole)):
            if name == component:
                given = variables(pod["spec"]["containers"][0])
                assert given["TELEMETRY_BROKER_URLS"] == URLS
                assert given["TELEMETRY_BROKER_DRAINED"] == "old"
                seen[site].append(given.get("TELEMETRY_BROKER_NAME", ""))
    assert {site: sorted(names) for site, names in seen.items()} == {
        "edge gpu-1": ["south"],
        "edge gpu-2": [""],
        "central main": ["north", "old", "south"],
    }
    assert {held(stage, context, "telemetry-sentinel")["sentinel-password"] for context in ("gpu-1", "main")} == {"w4tch"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("[redis]\n", "[redis]\nhost = 'r'\n"), "a Redis and a list of brokers are given"),
        (("[central]", "[shared]\ncontext = 'main'\n[central]"), "a shared Redis and a list of brokers"),
        (('name = "old"', 'name = "north"'), "several brokers are called north"),
        (('name = "old"', 'name = "Old!"'), "'Old!' is no name for a broker"),
        (('host = "redis-old"', ""), "the broker old needs either a host or sentinels"),
        (('host = "redis-old"', 'host = "rediss://old"'), "is a URL"),
        (('broker = "south"', 'broker = "west"'), "gpu-1 uses the broker west, which is not in the list of brokers"),
    ],
)
def test_what_contradicts_itself_is_told_with_its_mend(change: tuple[str, str], said: str, tmp_path: Path) -> None:
    (tmp_path / "fleet.toml").write_text(FLEET.replace(*change, 1))
    problems = checked(read(tmp_path / "fleet.toml"))
    assert any(said in problem for problem in problems), problems
    assert all(": " in problem for problem in problems)


def test_a_broker_for_the_edges_must_be_left(tmp_path: Path) -> None:
    (tmp_path / "fleet.toml").write_text("[[broker]]\nname = 'a'\nhost = 'a'\ndrained = true\n")
    assert checked(read(tmp_path / "fleet.toml")) == ["all brokers are drained: leave one for the edges"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[broker]\nname = 'a'\n", r"must be written as \[\[broker\]\]"),
        ("[[broker]]\nnames = 'a'\n", "broker has no key 'names'"),
        ("[[broker]]\npassword = 'a'\n", "passwords do not belong in an inventory"),
        ("[[edge]]\ncontext = 'a'\nbroker = 1\n", r"\[edge\] broker must be the name of a \[\[broker\]\]"),
        ("[central]\ncontext = 'a'\nbroker = 'n'\n", "central has no key 'broker'"),
    ],
)
def test_what_is_none_is_refused_by_its_key(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "fleet.toml").write_text(text)
    with pytest.raises(InventoryError, match=said):
        read(tmp_path / "fleet.toml")
