"""The Redis of a release for other clusters, as a real process: its users and their change, and TLS."""

from __future__ import annotations

import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import redis

from telemetry.settings import Settings
from telemetry.trust import rights
from telemetry.trust.credentials import Maker
from tests.chart import tls
from tests.chart.cases import CENTRE, PASSWORD
from tests.chart.place import Place
from tests.chart.redis_pod import HOST, RedisPod, running
from tests.chart.rendering import merged, pod_of, render, values_of
from tests.waiting import eventually

ADMINISTRATOR = 'a "word\\ of'
SERVER = shutil.which("redis-server")
MAKER = Maker("s" * 32, "telemetry")
VALUES = {"redis": {"existingSecret": "broker", "users": {"existingSecret": "users"}}}


def users(**valid: list[int]) -> str:
    """The file of users, as `telemetry broker acl` prints it."""
    return "\n".join(user.line(passwords) for user, passwords in MAKER.users(valid))


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[RedisPod]:
    """A Redis that knows the roles, and the cluster west with its first credentials."""
    secrets = {"redis": {"password": f"{ADMINISTRATOR}\n"}, "redis-users": {"users__acl": users(west=[1])}}
    with running(tmp_path, VALUES, secrets) as made:
        yield made


def test_each_has_a_user_with_its_own_rights(pod: RedisPod) -> None:
    for role in rights.ROLES:
        assert pod.client(rights.role_name("telemetry", role), MAKER.password(role)).ping()
    edge = pod.client(rights.edge_name("telemetry", "west"), MAKER.password("west", 1))
    assert edge.lpush("telemetry.ingest", "x") == 1
    with pytest.raises(redis.ResponseError, match=r"(?i)no permissions"):
        edge.rpop("telemetry.ingest")
    administrator = pod.client(password=ADMINISTRATOR)
    assert administrator.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert pod.refuses("default", None)
    assert pod.refuses(rights.edge_name("telemetry", "east"), MAKER.password("east", 1))


def test_users_change_without_a_restart_and_a_lost_password_loses_its_connections(pod: RedisPod) -> None:
    name = rights.edge_name("telemetry", "west")
    old, flower = pod.client(name, MAKER.password("west", 1)), pod.client("telemetry.flower", MAKER.password("flower"))
    first = old.client_id(), flower.client_id()
    pod.write("redis-users", users__acl=users(west=[1, 2], east=[1]))
    eventually(lambda: not pod.refuses(name, MAKER.password("west", 2)), 20, what="the second password is good")
    assert not pod.refuses(rights.edge_name("telemetry", "east"), MAKER.password("east", 1))
    assert old.client_id() == first[0]
    pod.write("redis-users", users__acl=users(west=[2]))
    eventually(lambda: pod.refuses(name, MAKER.password("west", 1)), 20, what="the first password is bad")
    eventually(lambda: is_closed(old), 20, what="its connection is closed")
    assert flower.client_id() == first[1]


def is_closed(client: redis.Redis) -> bool:
    """Whether the client's connection was closed, so that it had to come anew."""
    try:
        client.ping()
    except redis.RedisError:
        return True
    return False


def test_a_spoilt_file_leaves_the_users_as_they_are(pod: RedisPod) -> None:
    pod.write("redis-users", users__acl=f"{users(west=[2])}\nuser east on +nonsense")
    eventually(lambda: "users are as before" in (pod.root / "log").read_text(), 20, what="it is told")
    assert not pod.refuses(rights.edge_name("telemetry", "west"), MAKER.password("west", 1))
    pod.write("redis-users", users__acl=users(west=[2]))
    eventually(lambda: pod.refuses(rights.edge_name("telemetry", "west"), MAKER.password("west", 1)), 20, what="mended")


@pytest.mark.skipif(not SERVER, reason="the wheel's server is built without TLS")
def test_other_clusters_come_by_tls(tmp_path: Path) -> None:
    ca, key, certificate = tls.certificates(tmp_path)
    secrets = {
        "redis": {"password": "word"},
        "redis-tls": {"tls__crt": certificate.read_text(), "tls__key": key.read_text()},
    }
    values = {"redis": {"existingSecret": "broker", "tls": {"existingSecret": "tls"}}}
    with running(tmp_path, values, secrets, SERVER) as pod:
        far = redis.Redis("localhost", pod.tls_port, password="word", ssl=True, ssl_ca_certs=str(ca))  # noqa: S106
        assert far.ping()
        with pytest.raises((redis.ConnectionError, ssl.SSLError)):
            redis.Redis(HOST, pod.tls_port, password="word").ping()  # noqa: S106


@pytest.mark.parametrize(
    ("container", "pod", "user"),
    [
        ("collector", "collector", "telemetry.collector"),
        ("api", "api", "telemetry.api"),
        ("uploads", "api", "telemetry.edge.central/uploads"),
        ("uploads-beat", "api", "telemetry.edge.central/uploads"),
        ("flower", "flower", "telemetry.flower"),
        ("exporter", "exporter", "telemetry.exporter"),
        ("migrate", "migrations", "telemetry.api"),
    ],
)
def test_each_part_of_the_centre_is_a_user_of_its_own(container: str, pod: str, user: str, tmp_path: Path) -> None:
    auth = {"enabled": True, "existingSecret": "roles", "existingSecretPasswordKey": "api"}
    roles = {"trust": {"roles": {"existingSecret": "roles"}}, "uploads": {"enabled": True}}
    broker = {"externalRedis": {"username": "telemetry.api", "tls": {"enabled": False}, "auth": auth}}
    template = pod_of(render(merged(merged(values_of(CENTRE), PASSWORD), roles | broker)), pod)
    (found,) = [each for each in template["spec"]["containers"] if each["name"] == container]
    place = Place(tmp_path, found, 0)
    secret = {key: f"of {key}" for key in ("collector", "api", "flower", "exporter", "uploads")}
    place.mount(template, {"roles": secret, "t-telemetry-pipeline-database": {"password": "d"}})
    for volume in template["spec"]["volumes"]:
        for item in volume["secret"]["items"] if volume["name"] == "roles" else ():
            Path(place.moved["/run/secrets/roles"], item["path"]).write_text(secret[item["key"]])
    given = {name: value for name, value in place.variables().items() if "BROKER" in name}
    parts = urlsplit(Settings.load(given).broker_url)
    assert (unquote(parts.username or ""), unquote(parts.password or "")) == (
        user,
        f"of {user.rpartition('/')[2].rpartition('.')[2]}",
    )
