"""What is fuzzed. A target takes bytes to the code that reads them, and lets through only what is no answer of that code."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import msgpack
from msgspec import structs

from telemetry.api.guards import discovery, groups
from telemetry.doctor import logins
from telemetry.health import rules_file
from telemetry.progress import acks, losses, state
from telemetry.progress.flight import Flight
from telemetry.readings import wire
from telemetry.settings import Settings, SettingsError, groups_file, rates_file, sources_file
from telemetry.settings.load import variable
from telemetry.trust.keyring import Keyring
from tests.batches import batch, key, readings
from tests.formats import reading
from tests.formats.test_kept import NODE, SAID
from tests.formats.test_mangled import KEPT
from tests.states import source_state

ISSUER = "https://login.example.org"
LOST = b'{"path":"/a.csv","fingerprint":"f","start":0,"end":9,"reason":"it is gone"}'
SEPARATOR = b"\0\n"


@dataclass(frozen=True, slots=True)
class Target:
    """`good` are inputs that are read well; `run` takes any."""

    good: tuple[bytes, ...]
    run: Callable[[bytes], None]


def read_file(data: bytes) -> None:
    """Streamer and `verify` read the same of a file. Its first line says by which settings, as the name of a kept file."""
    name, _, content = data.partition(SEPARATOR)
    said = replace(SAID.get(name.decode(errors="replace"), NODE), date="2026-11-05")
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.csv")
        path.write_bytes(content)
        reading.read(path, "", said, 7)


def message() -> bytes:
    """A message as it lies in a queue, but for the envelope of kombu."""
    content = readings((key(), 0, 1.0), (key("DCGM_FI_DEV_GPU_TEMP", pod="p"), 1, 2.0))
    packed: bytes = msgpack.packb(wire.encode(batch(content)))
    return packed


def read_message(data: bytes) -> None:
    """A collector decodes a message, and judges its signature."""
    try:
        header, payload = msgpack.unpackb(data)
    except Exception:  # noqa: BLE001 - Celery keeps what it cannot unpack as it is
        header, payload = None, data
    keyring = Keyring.of(Settings.load({"TELEMETRY_TRUST_SECRET": "s" * 64}), dict)
    keyring.refusal(header)
    with suppress(wire.WireError, wire.NewerVersionError):
        wire.decode(header, payload)


def documents() -> tuple[bytes, ...]:
    """States and acknowledgements."""
    flight = Flight("b1", 90, 120, 12, 15, 3.0, "boot", "epoch", 1)
    window = structs.replace(source_state().window, flights=(flight,))
    states = (source_state(), source_state(window=window), source_state(packed=(1, 2), interpretation="dcgm/1"))
    return (*(state.encode(one).encode() for one in states), b"stored g 1 2 3 4", b"dead", LOST)


def read_document(data: bytes) -> None:
    """The exporter and the API read a source's state, which its edge may have written as it likes, and ask what follows."""
    acks.statement(data.decode(errors="replace"))
    losses.decoded(data)
    try:
        one = state.decode(data)
    except state.StateError:
        return
    for name in (
        "pace",
        "format_name",
        "shown_path",
        "lag_bytes",
        "lag_rows",
        "window_ratio",
        "all_committed",
        "replayed_ratio",
    ):
        getattr(one, name)
    one.lag_s(1)
    one.is_growing(1, 1.0)
    state.decode(state.encode(one))


def settings() -> tuple[bytes, ...]:
    """Variables with good values, and files that settings name."""
    names = [variable(item) for item in fields(Settings)]
    values = (
        "1",
        "true",
        "a,b",
        "postgresql://u:p@h/d",
        "sentinel://a:1,b:2/m/0",
        "100/minute",
        "2026-01-01T00:00:00Z",
        "c/n",
        "https://h:1/p",
    )
    return (
        *(f"{name}={value}".encode() for name in names for value in values),
        b'[[source]]\npath = "/data/*.csv"\ntime_zone = "UTC"\n',
        b'currency = "EUR"\nper_kwh = 0.3\n[per_hour]\n"H100" = 2.5\n',
        b'[[rule]]\nname = "hot"\nmetric = "DCGM_FI_DEV_GPU_TEMP"\nabove = 90\n',
        b'[groups.a]\nscopes = ["admin"]\n[groups."/b"]\nnamespaces = ["c", "d"]\n',
    )


def read_settings(data: bytes) -> None:
    """A process reads its environment, and the files that it names."""
    name, _, value = data.decode(errors="replace").partition("=")
    if "\0" not in data.decode(errors="replace"):
        with suppress(SettingsError):
            Settings.load({name: value})
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.toml")
        path.write_bytes(data)
        for parse in (sources_file.parse, rates_file.parse, rules_file.parse, groups_file.parse):
            with suppress(ValueError):
                parse(str(path))


def provider() -> tuple[bytes, ...]:
    """What a provider of logins says of itself, its keys, and a person."""
    places = {name: f"{ISSUER}/{name}" for name in discovery.ENDPOINTS}
    metadata = {"issuer": ISSUER, **places, "id_token_signing_alg_values_supported": ["RS256"]}
    person = {"sub": "u1", "groups": ["a"], "realm_access": {"roles": ["b"]}, "email": "a@b", "email_verified": True}
    return tuple(json.dumps(each).encode() for each in (metadata, {"keys": [{"kty": "RSA", "use": "sig"}]}, person))


def read_provider(data: bytes) -> None:
    """The page, and `telemetry doctor`, read what a provider says."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return
    logins.judge_document(document, ISSUER)
    logins.judge_keys(document)
    if isinstance(document, dict):
        discovery.secret_method(document)
        for claim in ("groups", "realm_access.roles", "email", "."):
            groups.rights(groups.groups(document, claim) or (), ())


FORMAT_FILES = tuple(name.encode() + SEPARATOR + content[:4000] for name, content in KEPT.items())
TARGETS = {
    "formats": Target(FORMAT_FILES, read_file),
    "message": Target((message(),), read_message),
    "state": Target((*documents(), json.dumps({"version": 9}).encode()), read_document),
    "settings": Target(settings(), read_settings),
    "provider": Target(provider(), read_provider),
}
