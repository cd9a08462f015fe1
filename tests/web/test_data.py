"""The page of data: files are sent, and what is read of them and what is not."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Dialog, Page, Route, expect
from sqlalchemy import Engine, text

from telemetry.store import apikeys

CSV = b"""timestamp,metric_name,gpu_id,device,uuid,modelName,Hostname,container,pod,namespace,value,labels_raw
2025-07-18T20:42:34Z,DCGM_FI_DEV_GPU_UTIL,0,nvidia0,GPU-1,H100,host-1,,,,7,
"""


def chosen(page: Page, name: str, content: bytes) -> None:
    page.get_by_label("CSV files").set_input_files({"name": name, "mimeType": "text/csv", "buffer": content})


@pytest.mark.refused(422)
def test_files_are_sent_and_their_state_is_followed(page: Page, address: str, engine: Engine) -> None:
    page.goto(f"{address}/data")
    chosen(page, "gpus.csv", CSV)
    rows = page.locator("#uploads tbody tr")
    expect(rows.first).to_contain_text("gpus.csvwaiting")
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM uploads")) == 1
    chosen(page, "letter.csv", b"Dear all,\n\nhello\n")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("letter.csvrefused")
    expect(rows.first).to_contain_text("this file is not read")
    # Another view may be looked at meanwhile.
    page.get_by_role("link", name="Pipeline").click()
    page.get_by_role("link", name="Data").click()
    expect(rows).to_have_count(2)


def test_a_file_that_is_dropped_is_sent(page: Page, address: str) -> None:
    page.goto(f"{address}/data")
    page.evaluate(
        """(content) => {
            const data = new DataTransfer();
            data.items.add(new File([content], "dropped.csv"));
            const drop = new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
            document.querySelector("main").dispatchEvent(drop);
        }""",
        CSV.decode(),
    )
    expect(page.locator("#uploads tbody tr").first).to_contain_text("dropped.csvwaiting")


@pytest.mark.refused(403, 401)
def test_a_key_without_the_scope_is_told_so_and_one_with_it_sends_from_this_page_alone(
    page: Page, start_api: Callable[..., tuple[str, int]], engine: Engine
) -> None:
    address = start_api(TELEMETRY_API_ACCESS="keys")[0]
    with engine.begin() as connection:
        keys = {
            scopes: apikeys.create(connection, "-".join(scopes), scopes, None, "a test")
            for scopes in (("read",), ("read", "ingest"))
        }
    page.goto(f"{address}/data")
    for scopes, words in ((("read",), "this operation needs a key with the scope ingest"), (("read", "ingest"), "waiting")):
        page.get_by_label("API key").fill(keys[scopes])
        page.get_by_role("button", name="Log in").click()
        chosen(page, "gpus.csv", CSV)
        expect(page.locator("#uploads tbody tr").first).to_contain_text(words)
        page.get_by_role("button", name="Log out").click()
        page.goto(f"{address}/data")
    for origin, status in (({}, 401), ({"Origin": "https://elsewhere.example"}, 401), ({"Origin": address}, 202)):
        headers = {"Cookie": f"telemetry_key={keys['read', 'ingest']}", "Content-Type": "text/csv", **origin}
        assert httpx.post(f"{address}/api/v1/telemetry", content=CSV, headers=headers).status_code == status


@pytest.mark.refused(503, 429)
def test_a_file_waits_where_the_api_has_no_place_for_it(page: Page, address: str) -> None:
    refusals = [(503, {"Retry-After": "2"}), (429, {"Retry-After": "1"})]

    def answered(route: Route) -> None:
        if not refusals:
            return route.continue_()
        status, headers = refusals.pop(0)
        return route.fulfill(status=status, headers=headers, json={"code": "too_many_uploads", "detail": "a little later"})

    page.route("**/api/v1/telemetry", answered)
    page.goto(f"{address}/data")
    chosen(page, "gpus.csv", CSV)
    row = page.locator("#uploads tbody tr").first
    expect(row).to_contain_text("gpus.csvwaiting for a place")
    expect(row).to_contain_text("gpus.csvwaiting 0 %")
    assert not refusals


@pytest.mark.refused(403, 404, 500)
def test_an_upload_that_cannot_be_followed_stops_no_other(page: Page, address: str) -> None:
    uploads = [{"name": f"{number}.csv", "bytes": 1, "url": f"/api/v1/uploads/{number}"} for number in reversed(range(12))]
    page.add_init_script(
        f"sessionStorage.getItem('telemetry-uploads') ?? sessionStorage.setItem('telemetry-uploads', '{json.dumps(uploads)}')"
    )
    asked: list[str] = []

    def answered(route: Route) -> None:
        number = route.request.url.split("/")[-1]
        asked.append(number)
        status = {"0": 404, "1": 403, "2": 500}.get(number, 200)
        state = {"state": "done", "committed_bytes": 1, "size_bytes": 1, "rows": 1}
        route.fulfill(status=status, json=state if status == 200 else {"detail": f"it is {status}"})

    page.route("**/api/v1/uploads/*", answered)
    page.goto(f"{address}/data")
    rows = page.locator("#uploads tbody tr")
    expect(page.locator("#uploads-count")).to_have_text("11 of 12 done")
    assert sorted(asked[:10], key=int) == [str(number) for number in range(10)]
    expect(rows.nth(11)).to_contain_text("cannot be followedit is 404")
    expect(rows.nth(10)).to_contain_text("cannot be followedit is 403")
    expect(rows.nth(9)).to_contain_text("waiting")
    expect(page.locator("#trouble")).to_contain_text("it is 500")
    assert asked.count("0") == asked.count("1") == 1


@pytest.mark.refused(503)
def test_files_that_wait_are_kept_while_another_view_is_looked_at(page: Page, address: str) -> None:
    page.route("**/api/v1/telemetry", lambda route: route.fulfill(status=503, headers={"Retry-After": "60"}, json={}))
    asked: list[str] = []

    def asked_whether_to_leave(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", asked_whether_to_leave)
    page.goto(f"{address}/data")
    chosen(page, "first.csv", CSV)
    chosen(page, "second.csv", CSV.replace(b"host-1", b"host-2"))
    rows = page.locator("#uploads tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.last).to_contain_text("first.csvwaiting for a place")
    page.get_by_role("link", name="Pipeline").click()
    expect(page).to_have_url(f"{address}/pipeline")
    assert asked == ["beforeunload"]
    page.unroute("**/api/v1/telemetry")
    page.get_by_role("link", name="Data").click()
    expect(rows).to_have_count(2)
    expect(rows.last).to_contain_text("first.csvwaiting 0 %")
    expect(rows.first).to_contain_text("second.csvwaiting 0 %")
    page.get_by_role("link", name="Pipeline").click()
    page.get_by_role("link", name="Data").click()
    expect(rows).to_have_count(2)
    assert asked == ["beforeunload"]


def test_the_newest_rows_that_cannot_be_read_are_shown(page: Page, address: str, engine: Engine) -> None:
    with engine.begin() as connection:
        source = connection.scalar(
            text(
                "INSERT INTO sources (edge, path, fingerprint, format)"
                " VALUES ('central/uploads', '/a.csv', 'f', 'dcgm') RETURNING id"
            )
        )
        connection.execute(
            text(
                "INSERT INTO quarantine (source_id, batch_id, fingerprint, byte_offset, digest, line, reason, raw)"
                " SELECT :source, 'b', 'f', n, int4send(n), n, 'bad_value', 'x' FROM generate_series(1, 60) n"
            ),
            {"source": source},
        )
    page.goto(f"{address}/data")
    rows = page.locator("#quarantine tbody tr")
    expect(rows).to_have_count(50)
    expect(rows.first).to_contain_text("a.csv60bad_value")
    expect(page.locator("#quarantine-count")).to_have_text("the newest 50")
