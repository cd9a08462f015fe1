"""docker/compose.yaml: what its parts say of each other is true. No engine is asked."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from telemetry.settings import Settings, variable
from tests.chart.rendering import Object

DOCKER = Path(__file__).resolve().parents[2] / "docker"
COMPOSE: Object = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, Object] = COMPOSE["services"]
SEVERAL: dict[str, Object] = yaml.safe_load((DOCKER / "compose.brokers.yaml").read_text())["services"]
OURS = {name: service for name, service in SERVICES.items() if str(service["image"]).startswith("telemetry-pipeline-")}
ELSEWHERE = {"HEALTH_URL"}


def mounted(name: str) -> dict[str, str]:
    """Each mount of a service: path in the container, and what it is of."""
    return {target: source for source, target in (each.split(":")[:2] for each in own(name))}


def own(name: str) -> list[str]:
    # A default of a variable has a colon too.
    return [str(each).replace("${TELEMETRY_FILES:-./data}", "./data") for each in SERVICES[name].get("volumes", [])]


def test_each_target_of_prometheus_serves_metrics() -> None:
    told = yaml.safe_load((DOCKER / "monitoring" / "prometheus.yml").read_text())
    for job in told["scrape_configs"]:
        for target in job["dns_sd_configs"]:
            for name in target["names"]:
                # That of a further broker is like that of the first.
                service = SERVICES[SEVERAL.get(name, {}).get("extends", {}).get("service", name)]
                environment = service["environment"]
                if name == "api":
                    assert f"0.0.0.0:{target['port']}" in service["command"]
                else:
                    assert environment["TELEMETRY_METRICS_PORT"] == str(target["port"])
                    assert environment["TELEMETRY_METRICS_HOST"] == "0.0.0.0"  # noqa: S104


def test_the_rules_and_boards_that_are_named_are_there() -> None:
    volumes = mounted("prometheus")
    (pattern,) = yaml.safe_load((DOCKER / "monitoring" / "prometheus.yml").read_text())["rule_files"]
    assert list((DOCKER / volumes[str(Path(pattern).parent)]).glob(Path(pattern).name))
    (provider,) = yaml.safe_load((DOCKER / "monitoring" / "dashboards.yml").read_text())["providers"]
    boards = list((DOCKER / mounted("grafana")[provider["options"]["path"]]).glob("*.json"))
    assert boards
    variables = [each for board in boards for each in json.loads(board.read_text())["templating"]["list"]]
    given = yaml.safe_load((DOCKER / "monitoring" / "datasources.yml").read_text())["datasources"]
    assert {each["query"] for each in variables if each["type"] == "datasource"} <= {each["type"] for each in given}


@pytest.mark.parametrize("name", OURS)
def test_a_process_may_have_many_files_open(name: str) -> None:
    assert OURS[name]["ulimits"]["nofile"]["hard"] >= 65_536


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_in_the_repository_or_a_volume(name: str) -> None:
    for source in mounted(name).values():
        assert source in COMPOSE["volumes"] or (DOCKER / source).exists(), source
    assert set(SERVICES[name].get("secrets", [])) <= set(COMPOSE["secrets"])
    assert all("file" in each for each in COMPOSE["secrets"].values())


@pytest.mark.parametrize("name", OURS)
def test_a_service_is_told_what_it_knows(name: str) -> None:
    environment: dict[str, Any] = OURS[name]["environment"]
    known = {variable(each) for each in fields(Settings)}
    secret = {f"{variable(each)}_FILE" for each in fields(Settings) if each.metadata["secret"]}
    assert set(environment) - ELSEWHERE <= known | secret
    plain = {key: re.sub(r"\$\{\w+:-(.*)\}", r"\1", value) for key, value in environment.items()}
    assert Settings.load({key: value for key, value in plain.items() if key not in secret})


def told_of_several(name: str) -> Settings:
    """The settings of a service with the second file over the first."""
    base = SERVICES[SEVERAL[name].get("extends", {}).get("service", name)]["environment"]
    environment = {**base, **SEVERAL[name]["environment"]}
    plain = {key: re.sub(r"\$\{\w+:-(.*)\}", r"\1", value) for key, value in environment.items()}
    return Settings.load({key: value for key, value in plain.items() if not key.endswith("_FILE")})


def test_with_several_brokers_each_process_knows_all_and_each_has_its_collectors() -> None:
    assert {name for name in SEVERAL if not name.startswith("redis-")} >= OURS.keys()
    told = {name: told_of_several(name) for name in SEVERAL if not name.startswith("redis-")}
    known = {name for settings in told.values() for name in settings.brokers}
    assert all(set(settings.brokers) == known for settings in told.values())
    serving = [settings.broker_name for name, settings in told.items() if name.startswith("collector")]
    assert sorted(serving) == sorted(known)
    for settings in told["api"].brokers.values():
        host = (urlsplit(settings.broker_url).hostname or "").strip()
        assert host in SERVICES or SEVERAL[host]["extends"]["service"] == "redis"


def test_uploads_are_read_from_where_the_api_puts_them() -> None:
    spool = OURS["api"]["environment"]["TELEMETRY_SPOOL_DIR"]
    assert OURS["uploads"]["environment"]["TELEMETRY_SOURCES"] == f"{spool}/*.csv"
    assert mounted("api")[spool] == mounted("uploads")[spool]
    assert OURS["uploads"]["environment"]["TELEMETRY_EDGE"] == OURS["uploads-beat"]["environment"]["TELEMETRY_EDGE"]
    assert OURS["uploads"]["environment"]["TELEMETRY_EDGE"] == "central/uploads"
