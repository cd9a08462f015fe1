"""An inventory that leads to a broker behind sentinels, and to a database of several hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from telemetry.deploy.inventory import InventoryError, checked, merged, read
from tests.chart.rendering import pod_of, render, variables
from tests.deploy.conftest import Stage
from tests.deploy.test_credentials import held, upgraded

FLEET = """
[redis]
sentinels = ["s1", "s2:26380", "s3"]
service = "telemetry"
port = 6379
tls = false

[database]
host = "pg1"
other_hosts = ["pg2"]
read_host = "pg2"

[central]
context = "main"

[[edge]]
context = "gpu-1"
"""
GIVEN = {
    "TELEMETRY_DEPLOY_REDIS_PASSWORD": "word",
    "TELEMETRY_DEPLOY_SENTINEL_PASSWORD": "w4tch",
    "TELEMETRY_DEPLOY_DB_PASSWORD": "d4tabase",
}


def test_sentinels_and_several_database_hosts_come_from_an_inventory(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "fleet.toml").write_text(FLEET)
    done = stage.run("deploy-all", "--inventory", str(tmp_path / "fleet.toml"), **GIVEN)
    assert done.returncode == 0, done.stdout + done.stderr
    made = upgraded(stage)
    sentinel = {"hosts": ["s1", "s2:26380", "s3"], "service": "telemetry", "existingSecret": "telemetry-sentinel"}
    assert made["edge gpu-1"]["externalRedis"]["sentinel"] == made["central main"]["externalRedis"]["sentinel"] == sentinel
    assert {held(stage, context, "telemetry-sentinel")["sentinel-password"] for context in ("gpu-1", "main")} == {"w4tch"}
    collector = variables(pod_of(render(made["central main"]), "collector")["spec"]["containers"][0])
    assert collector["TELEMETRY_BROKER_URL"] == "sentinel://s1,s2:26380,s3/telemetry/0"
    assert collector["TELEMETRY_DATABASE_URL"] == "postgresql://telemetry@pg1:5432,pg2:5432/telemetry?sslmode=require"
    assert collector["TELEMETRY_DATABASE_READ_URL"] == "postgresql://telemetry@pg2:5432/telemetry?sslmode=require"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[redis]\nsentinels = 's1'\n", "sentinels must be a list of texts"),
        ("[redis]\nsentinels = [1]\n", "sentinels must be a list of texts"),
        ("[database]\nother_hosts = [true]\n", "other_hosts must be a list of texts"),
        ("[redis]\nsentinel_password = 'w'\n", "passwords do not belong in an inventory"),
    ],
)
def test_what_is_none_is_refused_by_its_key(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "fleet.toml").write_text(text)
    with pytest.raises(InventoryError, match=said):
        read(tmp_path / "fleet.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[redis]\nhost = 'r'\nsentinels = ['s1']\n", "both a host of the Redis and sentinels are given"),
        ("[redis]\nsentinels = ['s1']\n[shared]\ncontext = 'main'\n", "a shared Redis and sentinels are given"),
        ("[database]\nother_hosts = ['pg2']\n", "besides a first one"),
    ],
)
def test_what_contradicts_itself_is_told_with_its_mend(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "fleet.toml").write_text(text)
    (problem,) = checked(read(tmp_path / "fleet.toml"))
    assert said in problem
    assert ": " in problem


def test_an_edge_that_is_named_by_its_context_keeps_its_name_and_values(tmp_path: Path) -> None:
    edges = "".join(f"[[edge]]\ncontext = 'gpu-{each}'\nname = 'west-{each}'\nvalues = ['{each}.yaml']\n" for each in (1, 2))
    (tmp_path / "fleet.toml").write_text(edges)
    inventory = read(tmp_path / "fleet.toml")
    (site,) = merged(inventory, {"edge": ["gpu-2"]}).of("edge")
    assert site == inventory.of("edge")[1]
