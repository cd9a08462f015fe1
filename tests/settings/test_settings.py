"""Settings: strict, documented, and silent about secrets."""

from __future__ import annotations

import re
import ssl
import subprocess
import sys
from contextlib import suppress
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url

from telemetry import broker
from telemetry.settings import Settings, SettingsError, documentation, misspelt, variable

ROOT = Path(__file__).parents[2]
DOCS, PACKAGE = ROOT / "docs", ROOT / "telemetry"


def test_the_page_of_settings_is_up_to_date() -> None:
    assert (DOCS / "SETTINGS.md").read_text() == documentation(), "run scripts/document"


def test_the_page_shows_each_setting_once_under_the_heading_of_its_section() -> None:
    sections = documentation().split("\n## ")[1:]
    titles = [section.partition("\n")[0] for section in sections]
    assert titles == [
        "Every process",
        "Broker",
        "Trust",
        "Database",
        "Edge",
        "Collector",
        "Retention",
        "API and uploads",
        "Login by OpenID Connect",
        "Usage",
        "Health of GPUs",
        "Monitoring",
    ]
    for item in fields(Settings):
        (title,) = [title for title, section in zip(titles, sections, strict=True) if f"| `{variable(item)}` |" in section]
        assert title == item.metadata["section"]


def test_nobody_else_takes_a_setting_from_the_environment() -> None:
    readers = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if re.search(r"\bos\.(environ|getenv)\b", path.read_text().replace("Settings.load(os.environ)", ""))
    }
    assert readers == {
        *("settings/fields.py", "settings/spelling.py"),
        # Variables of libraries.
        *("algebra.py", "monitoring/counters/shared.py", "monitoring/traces.py"),
        # The address and the key of a client that is given none.
        "client/api.py",
        # Whether there is an API to ask, which a client then finds there.
        *("cli/top.py", "cli/top_look.py"),
        # The environment that processes are started with, and the settings that a running `up` adds to it.
        *("cli/up.py", "cli/session.py", "cli/mends.py", "local/announcement.py", "local/servers/server.py"),
        "local/certificates.py",
        # Passwords for clusters, and the environment of helm.
        *("cli/deploy.py", "deploy/helm.py"),
        # That which psql is started with, and a tool that is recorded.
        *("cli/psql.py", "record/tool.py"),
        # Where the API of the cluster is in which this is a pod.
        "record/api_server.py",
        # Whether a terminal is to have colours.
        "cli/redraw.py",
    }


def test_nothing_set_is_a_working_collector() -> None:
    made = Settings.load({"TELEMETRY_BROKER_URL": "redis://b/1", "TELEMETRY_DATABASE_URL": "postgresql://d/t"})
    assert (made.role, made.ingest_queue, made.database_url) == ("central", "telemetry.ingest", "postgresql+psycopg://d/t")


def test_settings_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings.load({}).batch_size = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("BATCH_SIZE", "0", "between 1 and"),
        ("BATCH_SIZE", "many", "whole number"),
        ("STREAM_INTERVAL_S", "nan", "between"),
        ("LOOP_MODE", "maybe", "true or false"),
        ("ROLE", "middle", "central, edge"),
        ("EDGE", "no-slash", "cluster/node"),
        ("EDGE", "a/b;c", "cluster/node"),
        ("BROKER_URL", "memory://", "redis://"),
        ("DATABASE_URL", "sqlite:///x", "postgresql://"),
        ("BROKER_URL", "redis://:se/cret@b:6379/0", "an @ too many; in a user or password write @"),
        ("BROKER_URL", "redis://:secret@ss/w#rd%@127.0.0.1:6379/0", "an @ too many"),
        ("BROKER_URL", "rediss://u:secret#1@b/0", "an @ too many"),
        ("DATABASE_URL", "postgresql://u:secret@ss/w#rd@127.0.0.1/telemetry", "an @ too many"),
        ("DATABASE_URL", "postgresql://u:secret@1@d/t", "an @ too many"),
        ("BROKER_URL", "redis://:secret:9:b/0", "no port between"),
        ("BROKER_URL", "redis://b:70000/0", "no port between"),
        ("DATABASE_URL", "postgresql://u:p@d:many/t", "no port between"),
        ("KEY_PREFIX", "a b", "letters"),
        ("TIMESTAMP_FLOOR", "2000-01-01", "zone"),
        ("TIMESTAMP_FLOOR", "0001-01-01T00:00:00+05:00", "years 1 to 9999"),
        ("DATABASE_URL", "postgresql://u:secret\uff0f@d/t", "is no URL; in a user or password write"),
        ("BROKER_URL", "redis://u:[secret@b/0", "is no URL; in a user or password write"),
        ("DATA_DIR", " ", "empty"),
        ("DATA_DIR", "~nobody-of-that-name/x", "home directory"),
        ("SOURCE_SETTINGS", "~nobody-of-that-name/x", "home directory"),
        ("RATES", "~nobody-of-that-name/x", "home directory"),
    ],
)
def test_a_bad_value_names_the_variable_and_the_mend(name: str, value: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        Settings.load({f"TELEMETRY_{name}": value})
    assert f"TELEMETRY_{name}" in str(caught.value)


@given(st.sampled_from(fields(Settings)), st.text())
def test_any_text_is_taken_or_refused(item: object, value: str) -> None:
    name = variable(item)  # type: ignore[arg-type]
    with suppress(SettingsError):
        Settings.load({name: value})


def test_a_replica_is_read_with_the_password_of_the_database() -> None:
    names = {"DATABASE_URL": "postgresql://u:p%40ss@d/t", "DATABASE_READ_URL": "postgresql://u@r1,r2/t"}
    url = Settings.load({f"TELEMETRY_{name}": value for name, value in names.items()}).database_read_url
    assert url is not None
    assert "u:p%40ss@" in url
    assert url.endswith("host=r1,r2&port=5432,5432&target_session_attrs=prefer-standby")


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("redis://:pass@b/0\n")
    assert Settings.load({"TELEMETRY_BROKER_URL_FILE": str(secret)}).broker_url == "redis://:pass@b/0"
    with pytest.raises(SettingsError, match="both set"):
        Settings.load({"TELEMETRY_BROKER_URL_FILE": str(secret), "TELEMETRY_BROKER_URL": "redis://b"})
    with pytest.raises(SettingsError, match="TELEMETRY_BROKER_URL_FILE names"):
        Settings.load({"TELEMETRY_BROKER_URL_FILE": str(tmp_path / "none")})


def test_a_socket_may_stand_in_a_folder_whose_name_has_an_at_sign() -> None:
    assert Settings.load({"TELEMETRY_BROKER_URL": "redis+socket:///home/a@b/valkey.sock"}).broker_url.endswith(
        "a@b/valkey.sock"
    )


def test_secrets_are_not_shown() -> None:
    made = Settings.load(
        {"TELEMETRY_BROKER_URL": "redis://u:hidden@b:1/0", "TELEMETRY_DATABASE_URL": "postgresql://u:hidden@d/t"}
    )
    assert "hidden" not in repr(made)
    assert broker.shown(made.broker_url) == "redis://u:***@b:1/0"
    for name in ("BROKER_URL", "DATABASE_URL"):
        with pytest.raises(SettingsError) as caught:
            Settings.load({f"TELEMETRY_{name}": "ftp://u:hidden@b/0"})
        assert "hidden" not in str(caught.value)


def test_a_misspelt_variable_is_found_and_a_foreign_one_left_alone() -> None:
    given_ = {"TELEMETRY_BATCHSIZE": "1", "TELEMETRY_API_SERVICE_HOST": "10.0.0.1", "TELEMETRY_EDGE": "a/b"}
    assert misspelt(given_) == [("TELEMETRY_BATCHSIZE", "TELEMETRY_BATCH_SIZE")]


def test_a_bad_setting_stops_a_worker_with_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "telemetry", "worker"],
        env={"TELEMETRY_BATCH_SIZE": "x"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert done.stderr.strip() == "telemetry: TELEMETRY_BATCH_SIZE 'x' must be a whole number"


def test_tls_is_always_checked() -> None:
    options = broker.tls_options(Settings.load({"TELEMETRY_BROKER_URL": "rediss://b/0", "TELEMETRY_BROKER_CA": "/ca.pem"}))
    assert options is not None
    assert options["ssl_cert_reqs"].name == "CERT_REQUIRED"
    assert options["ssl_ca_certs"] == "/ca.pem"
    assert broker.tls_options(Settings.load({"TELEMETRY_BROKER_URL": "redis://b/0"})) is None


def test_a_check_of_certificates_is_left_out_only_by_name() -> None:
    told = {"TELEMETRY_BROKER_URL": "rediss://b/0", "TELEMETRY_BROKER_SKIP_VERIFY": "true"}
    options = broker.tls_options(Settings.load(told))
    assert options == {"ssl_cert_reqs": ssl.CERT_NONE, "ssl_check_hostname": False}


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).filter(lambda text: text == text.strip()))
def test_a_password_of_any_characters_reaches_both_clients(password: str) -> None:
    told = Settings.load(
        {
            "TELEMETRY_BROKER_URL": "redis://user@b:6379/3",
            "TELEMETRY_BROKER_PASSWORD": password,
            "TELEMETRY_DATABASE_URL": "postgresql://user@d:5432/telemetry?sslmode=require",
            "TELEMETRY_DATABASE_PASSWORD": password,
        }
    )
    keywords = broker.connect(told).connection_pool.connection_kwargs
    assert (keywords["username"], keywords["password"], keywords["host"], keywords["db"]) == ("user", password, "b", 3)
    url = make_url(told.database_url)
    assert (url.password, url.host, url.query) == (password, "d", {"sslmode": "require"})


@pytest.mark.parametrize(
    ("url", "user", "password", "expected"),
    [
        ("redis://:se-cret@b/0", "al:ice", None, ("al:ice", "se-cret")),
        ("redis://bob:@b/0", None, "x@y", ("bob", "x@y")),
        ("redis://b/0", "alice", "x:y", ("alice", "x:y")),
        ("redis://b/0", "alice", None, ("alice", None)),
    ],
)
def test_a_user_and_a_password_join_what_the_url_has(
    url: str, user: str | None, password: str | None, expected: tuple[str, str | None]
) -> None:
    variables = {"BROKER_URL": url, "BROKER_USERNAME": user, "BROKER_PASSWORD": password}
    settings = Settings.load({f"TELEMETRY_{name}": value for name, value in variables.items() if value is not None})
    parts = urlsplit(settings.broker_url)
    assert tuple(part and unquote(part) for part in (parts.username, parts.password)) == expected


def test_two_passwords_are_one_too_many() -> None:
    with pytest.raises(SettingsError, match="TELEMETRY_BROKER_URL holds a password, and TELEMETRY_BROKER_PASSWORD is set"):
        Settings.load({"TELEMETRY_BROKER_URL": "redis://:a@b/0", "TELEMETRY_BROKER_PASSWORD": "c"})
