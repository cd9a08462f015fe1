"""The specification: valid, complete, and true, as Schemathesis finds by asking the running application what it says.

`make fuzz` asks thousands of questions, well-formed and malformed: SCHEMATHESIS_CASES of each operation and kind of access.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from openapi_spec_validator import validate
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy import Engine

from telemetry.api import meanings
from telemetry.api.core import codes
from telemetry.store import apikeys
from tests.fixtures import remote_read

# Half of the requests for Prometheus are such, the others any bytes.
SELECTORS = st.tuples(st.sampled_from(["__name__", "gpu", "pod"]), st.sampled_from(remote_read.TYPES), st.text(max_size=5))
READS = st.builds(remote_read.request, st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1), SELECTORS)
schemathesis.openapi.media_type("application/x-protobuf", st.one_of(READS, st.binary(max_size=100)))

USUAL_CASES = 6
CASES = int(os.environ.get("SCHEMATHESIS_CASES", USUAL_CASES))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


def specification(client: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/api/v1/openapi.json").get_json()
    return found


def test_it_is_valid_openapi_3_1(client: FlaskClient) -> None:
    found = specification(client)
    assert found["openapi"].startswith("3.1.")
    validate(found)


def test_it_lists_what_the_issue_asks_for(client: FlaskClient) -> None:
    wanted = (
        "gpus gpus/{gpu} gpus/{gpu}/metrics gpus/{gpu}/telemetry hosts hosts/{host} metrics query latest stats edges sources"
    )
    wanted += (
        " batches quarantine conflicts dead-letters health/live health/ready telemetry uploads/{upload} audit openapi.json docs"
    )
    told = specification(client)
    assert {f"/api/v1/{path}" for path in wanted.split()} | {"/metrics", "/health"} <= told["paths"].keys()
    assert {each["type"] for each in told["components"]["securitySchemes"].values()} == {"http", "apiKey"}


@pytest.mark.usefixtures("fleet")
def test_what_answers_carry_is_told(client: FlaskClient) -> None:
    told = specification(client)
    for path, more in (
        ("/api/v1/gpus", {"ETag", "X-RateLimit-Remaining"}),
        ("/api/v1/query", set()),
        ("/api/v1/none", set()),
        ("/api/v1/docs", {"ETag"}),
    ):
        answer = client.get(path)
        given = {name for name in dict(answer.headers) if name in told["components"]["headers"]}
        assert {"X-Request-ID", "X-Content-Type-Options"} | more <= given
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        if path in told["paths"]:
            assert given <= told["paths"][path]["get"]["responses"][str(answer.status_code)]["headers"].keys()
    for path in ("/api/v1/openapi.json", "/api/v1/docs", "/metrics"):
        assert client.get(f"{path}?colour=red").status_code == 400


def test_every_operation_says_what_each_parameter_is(client: FlaskClient) -> None:
    for path, methods in specification(client)["paths"].items():
        for operation in methods.values():
            assert operation["summary"], path
            for parameter in operation["parameters"]:
                assert parameter["description"], (path, parameter["name"])
                assert parameter["schema"].keys() & {"type", "enum", "anyOf"}, (path, parameter["name"])


def test_what_is_asked_most_comes_first(client: FlaskClient) -> None:
    tags = [tag["name"] for tag in specification(client)["tags"]]
    assert len(tags) == len(set(tags))
    assert tags.index("gpus") < tags.index("query") < tags.index("batches") < tags.index("audit") < tags.index("docs")


def test_every_field_of_an_answer_says_what_it_is(client: FlaskClient) -> None:
    schemas = specification(client)["components"]["schemas"]
    fields = {(name, field): it for name, schema in schemas.items() for field, it in schema.get("properties", {}).items()}
    assert len(fields) > 300
    assert [place for place, field in fields.items() if not field.get("description")] == []
    assert "later than the time of the reading" in fields["Gpu", "first_seen"]["description"]
    assert meanings.MEANINGS.keys() <= {field for _, field in fields}
    assert meanings.EXCEPTIONS.keys() <= fields.keys()


def test_the_page_needs_nothing_from_elsewhere(client: FlaskClient) -> None:
    page = client.get("/api/v1/docs")
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert "http" not in page.text
    for name, mark in (
        ("swagger_bundle.js", "SwaggerUIBundle"),
        ("swagger_style.css", ".swagger-ui"),
        ("start.js", "openapi.json"),
    ):
        assert f"/api/v1/docs/{name}" in page.text
        assert mark in client.get(f"/api/v1/docs/{name}").text
    assert client.get("/api/v1/docs/none.js").status_code == 404


def test_every_code_is_in_the_specification_and_on_the_page_about_the_api(client: FlaskClient) -> None:
    about = (Path(__file__).parents[2] / "docs" / "API_SPECIFICATION.md").read_text()
    told = client.get("/api/v1/openapi.json").text
    for code in codes.CODES:
        assert f'"{code}"' in told
        assert f"`{code}`" in about


def of_a_gpu(case: Any) -> Any:
    """A question about a GPU that there is: random names would only show that there is none."""
    if "gpu" in case.path_parameters:
        case.path_parameters["gpu"] = "GPU-a0"
    return case


def every(cases: SearchStrategy[Any], ask: Callable[[Any], None], count: int) -> None:
    """Ask so many questions; the same ones at each run unless more are wanted than usual."""
    checks = list(HealthCheck)
    options = hypothesis(
        max_examples=max(1, count),
        deadline=None,
        database=None,
        derandomize=CASES == USUAL_CASES,
        phases=[Phase.generate],
        suppress_health_check=checks,
    )
    options(given(case=cases)(ask))()


@pytest.mark.parametrize(
    ("access", "scopes", "share", "expected"),
    [
        ("open", None, 1, (False, False)),
        ("keys", ["read"], 2, (False, True)),
        ("keys", ["admin", "ingest"], 2, (False, False)),
        ("keys", None, 4, (True, False)),
    ],
)
@pytest.mark.usefixtures("fleet")
def test_schemathesis_finds_no_lie(
    start_api: Callable[..., tuple[str, int]],
    engine: Engine,
    access: str,
    scopes: list[str] | None,
    share: int,
    expected: tuple[bool, bool],
) -> None:
    base, _ = start_api(TELEMETRY_API_ACCESS=access, TELEMETRY_API_RATE_LIMIT="")
    headers = {}
    if scopes:
        with engine.begin() as connection:
            headers = {"Authorization": f"Bearer {apikeys.create(connection, 'reader', scopes, None, 'test')}"}
    statuses = Counter[int]()

    def ask(case: Any) -> None:
        answer = case.call(headers=headers)
        statuses[answer.status_code] += 1
        # The server's own, of an address longer than it reads, right or wrong.
        if answer.status_code != 414:
            case.validate_response(answer, checks=CHECKS)

    # What is live has no end to wait for.
    schema = schemathesis.openapi.from_url(f"{base}/api/v1/openapi.json").exclude(path="/api/v1/live")
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        every(result.ok().as_strategy(generation_mode=GenerationMode.POSITIVE).map(of_a_gpu), ask, CASES // share)
        # What has no parameters cannot be asked for badly.
        with suppress(Unsatisfiable):
            every(result.ok().as_strategy(generation_mode=GenerationMode.NEGATIVE), ask, CASES // share)
    print(f"{access}, {scopes}: {statuses.total()} questions, {dict(sorted(statuses.items()))}")  # noqa: T201 - make fuzz shows it
    assert statuses[200] > 0
    assert (statuses[401] > 0, statuses[403] > 0) == expected
