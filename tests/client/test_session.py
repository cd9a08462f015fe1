"""The network between client and API: what fails is an error of the client's, and a question is asked again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from telemetry.client import Client, ClientError, NetworkError

ADDRESS = "http://node-1:8080"


@pytest.fixture(autouse=True)
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits, which take no time."""
    waits: list[float] = []
    monkeypatch.setattr("telemetry.client.session.time.sleep", waits.append)
    return waits


def failing(*errors: Exception | None, body: bytes = b'{"gpus": 4}') -> tuple[Client, list[str]]:
    """A client whose requests fail in turn (None: they do not), and the methods that were sent."""
    sent: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.method)
        error = errors[len(sent) - 1] if len(sent) <= len(errors) else None
        if error is not None:
            raise error
        return httpx.Response(200, content=body)

    return Client(ADDRESS, transport=httpx.MockTransport(answer)), sent


@pytest.mark.parametrize(
    "error", [httpx.ConnectError("Connection refused"), httpx.ReadTimeout(""), httpx.RemoteProtocolError("cut off")]
)
def test_a_question_is_asked_again(error: Exception, waited: list[float]) -> None:
    api, sent = failing(error, error)
    assert api.stats() == {"gpus": 4}
    assert (sent, waited) == (["GET"] * 3, [0.5, 1.0])


@pytest.mark.parametrize("error", [httpx.ConnectError("Connection refused"), httpx.ReadTimeout("")])
def test_what_fails_again_is_an_error_with_the_address(error: Exception) -> None:
    api, sent = failing(*[error] * 9)
    with pytest.raises(NetworkError, match=r"http://node-1:8080/api/v1/stats: (Connection refused|ReadTimeout)") as failed:
        api.stats()
    assert isinstance(failed.value, ClientError)
    assert (failed.value.__cause__, failed.value.url, len(sent)) == (error, f"{ADDRESS}/api/v1/stats", 3)


def test_a_file_is_sent_again_only_if_nothing_was_sent(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"x")
    api, sent = failing(httpx.ReadTimeout(""))
    with pytest.raises(NetworkError):
        api.upload(path)
    assert sent == ["POST"]
    api, sent = failing(httpx.ConnectError(""), body=b'{"id": "x"}')
    api.upload(path)
    assert sent == ["POST", "POST", "GET"]


def test_a_saved_list_that_was_cut_off_is_fetched_again_from_its_beginning(tmp_path: Path) -> None:
    class Cut(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b"half"
            raise httpx.ReadError("peer closed")

    answers = [httpx.Response(200, stream=Cut()), httpx.Response(200, content=b"whole")]
    api = Client(ADDRESS, transport=httpx.MockTransport(lambda _: answers.pop(0)))
    assert api.save(tmp_path / "a.csv", "gpus") == 5
    assert (tmp_path / "a.csv").read_bytes() == b"whole"


@pytest.mark.parametrize("make", [lambda: Client("localhost:8080"), lambda: Client("ftp://x"), lambda: Client(environ={})])
def test_an_address_is_needed_and_checked_at_once(make: Callable[[], Client]) -> None:
    with pytest.raises(ValueError, match=r"address"):
        make()


def test_address_and_key_may_come_from_the_environment() -> None:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json={})

    transport = httpx.MockTransport(answer)
    environ = {"TELEMETRY_API_URL": f"{ADDRESS}/api/v1/", "TELEMETRY_API_KEY": "tk_1"}
    Client(environ=environ, transport=transport).stats()
    Client("http://other", "tk_2", environ=environ, transport=transport).stats()
    assert [(str(one.url), one.headers["Authorization"]) for one in requests] == [
        (f"{ADDRESS}/api/v1/stats", "Bearer tk_1"),
        ("http://other/api/v1/stats", "Bearer tk_2"),
    ]
    assert repr(Client(environ=environ)) == f"Client('{ADDRESS}')"
