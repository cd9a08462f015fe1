"""A file that follows another without a header is read by the header of that, however it came there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from telemetry.progress import rewind
from telemetry.readings.digests import source_id
from telemetry.streamer.tick import Streamer
from tests.streamer.edge import HEADER, Edge, append, commit_all, rows, values
from tests.waiting import eventually

OTHER = "metric_name,timestamp,value,uuid\n"


def renamed(file: Path) -> None:
    """The file is moved away, and another begins with rows."""
    file.rename(file.with_name("a.csv.1"))
    file.write_text(rows(35, 60))


def cut(file: Path) -> None:
    """The file is cut to nothing, and its writer appends to it."""
    with file.open("r+") as writing:
        writing.truncate()
    append(file, rows(35, 60))


def cut_under_a_writer(file: Path) -> None:
    """The file is cut to nothing under a writer that goes on where it was."""
    with file.open("r+") as writing:
        writing.seek(0, 2)
        with file.open("r+") as other:
            other.truncate()
        writing.write(rows(35, 60))


def follow(edge: Edge, streamer: Streamer, number: int) -> None:
    """Tick and acknowledge until so many readings came, and nothing is in flight."""

    def done() -> bool:
        streamer.tick(0)
        edge.acknowledge(*edge.fetch())
        idle = all(stream.idle() for stream in streamer.streams.values())
        return len(values(edge.published)) >= number and idle

    eventually(done)


@pytest.mark.parametrize("rotated", [renamed, cut, cut_under_a_writer])
@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_log_whose_header_was_written_once(
    edge: Edge, file: Path, rotated: Callable[[Path], None], is_restarted: bool
) -> None:
    with edge.streamer() as streamer:
        commit_all(edge, streamer, file)
        if not is_restarted:
            rotated(file)
            follow(edge, streamer, 60)
    if is_restarted:
        rotated(file)
    with edge.streamer() as streamer:
        follow(edge, streamer, 60)
        append(file, rows(60, 65))
        follow(edge, streamer, 65)
    assert values(edge.published) == list(range(65))
    assert [state.all_committed for state in edge.states() if state.header == HEADER] == [True]
    assert not any(state.foreign for state in edge.states())
    assert edge.lost() == []


def test_it_goes_on_under_another_name(edge: Edge, file: Path, folder: Path) -> None:
    with edge.streamer() as streamer:
        commit_all(edge, streamer, file)
        renamed(file)
        follow(edge, streamer, 60)
    moved = file.rename(folder / "moved.csv")
    append(moved, rows(60, 65))
    with edge.streamer() as streamer:
        commit_all(edge, streamer, moved)
    assert values(edge.published) == list(range(65))


def test_the_header_that_was_in_force_last_is_the_one(edge: Edge, file: Path) -> None:
    append(file, f"{OTHER}DCGM_FI_DEV_GPU_UTIL,2025-07-18T00:00:35Z,35,GPU-1\n")
    with edge.streamer() as streamer:
        commit_all(edge, streamer, file)
        file.unlink()
        file.write_text("DCGM_FI_DEV_GPU_UTIL,2025-07-18T00:00:36Z,36,GPU-1\n")
        follow(edge, streamer, 37)
    assert values(edge.published) == list(range(37))


def test_a_source_that_was_set_back_goes_on_under_the_header_in_force(edge: Edge, file: Path) -> None:
    """As `telemetry rewind` does it, where the ledger has all of it, and where it has all but the last batch."""
    append(file, OTHER + "".join(f"DCGM_FI_DEV_GPU_UTIL,2025-07-18T00:00:{n}Z,{n},GPU-1\n" for n in range(35, 50)))
    with edge.streamer() as streamer:
        commit_all(edge, streamer, file)
    held = sorted((batch.start, batch.end, batch.first_line) for batch in edge.published)
    for number, ledger in ((50, held), (51, held[:-1])):
        (state,) = edge.states()
        rewind.overwrite(
            edge.client, edge.keys, edge.settings.edge, source_id(state.fingerprint, state.path), rewind.rewound(state, ledger)
        )
        append(file, f"DCGM_FI_DEV_GPU_UTIL,2025-07-18T00:00:{number}Z,{number},GPU-1\n")
        with edge.streamer() as streamer:
            commit_all(edge, streamer, file)
    assert set(values(edge.published)) == set(range(52))


@pytest.mark.parametrize("first", ["x,y\n", rows(35, 36).replace(",0,", ",")])
def test_rows_that_do_not_fit_are_foreign(edge: Edge, file: Path, first: str) -> None:
    with edge.streamer() as streamer:
        commit_all(edge, streamer, file)
        file.unlink()
        file.write_text(first + rows(36, 40))
        for _ in range(3):
            streamer.tick(0)
            edge.acknowledge(*edge.fetch())
    assert values(edge.published) == list(range(35))
    state = next(state for state in edge.states() if state.path == str(file) and state.foreign)
    assert "no format knows its first line" in state.miss


def test_so_are_all_where_it_is_switched_off_and_it_is_read_once_it_is_on(edge: Edge, file: Path) -> None:
    with edge.streamer(inherit_headers=False) as streamer:
        commit_all(edge, streamer, file)
        file.unlink()
        file.write_text(rows(35, 60))
        for _ in range(3):
            streamer.tick(0)
            edge.acknowledge(*edge.fetch())
    assert values(edge.published) == list(range(35))
    with edge.streamer() as streamer:
        follow(edge, streamer, 60)
    assert values(edge.published) == list(range(60))


def test_lines_under_a_header_that_nobody_knows_are_counted(edge: Edge, file: Path) -> None:
    append(file, "timestamp, index, power.draw [W]\n1, 2, 3\n1, 2, 4\n")
    with edge.streamer() as streamer:
        commit_all(edge, streamer, file)
        append(file, "1, 2, 5\n")
        commit_all(edge, streamer, file)
    with edge.streamer() as streamer:
        append(file, "1, 2, 6\n" + HEADER + rows(35, 40))
        commit_all(edge, streamer, file)
    assert values(edge.published) == list(range(40))
    (state,) = edge.states()
    assert (state.unread_lines, state.foreign, state.all_committed) == (4, False, False)
    assert [row.reason for batch in edge.published for row in batch.readings.quarantined] == ["unknown_format"]


def test_a_state_of_an_earlier_version_goes_on_under_the_header_in_force(edge: Edge, file: Path) -> None:
    append(file, f"{OTHER}DCGM_FI_DEV_GPU_UTIL,2025-07-18T00:00:35Z,35,GPU-1\n")
    with edge.streamer() as streamer:
        commit_all(edge, streamer, file)
    append(file, "DCGM_FI_DEV_GPU_UTIL,2025-07-18T00:00:36Z,36,GPU-1\n")
    # Another floor is another way to read it, as another version is.
    with edge.streamer(timestamp_floor=edge.settings.timestamp_floor.replace(year=2001)) as streamer:
        commit_all(edge, streamer, file)
    assert values(edge.published) == list(range(37))


def test_a_column_that_numbers_the_rows_is_told_of(edge: Edge, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    file.unlink()
    header = HEADER.replace("\n", ",seq\n")
    text = "".join(f"{line},{n}\n" for n, line in enumerate(rows(0, 3000).splitlines()))
    file.write_text(header + text)
    with edge.streamer(max_series=2000) as streamer:
        commit_all(edge, streamer, file)
    assert len(values(edge.published)) == 2000
    reasons = [row.reason for batch in edge.published for row in batch.readings.quarantined]
    assert reasons == ["too_many_series"] * 1000
    assert edge.states()[0].series_column == "seq"
    assert caplog.text.count("the column seq makes a new series of nearly each record") == 1


def test_the_first_readings_of_a_large_fleet_blame_no_column(edge: Edge, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    metrics = [f"DCGM_FI_DEV_{n}" for n in range(30)]
    lines = [
        f'2025-07-18T00:00:00Z,{metric},0,GPU-{gpu},host,1,"UUID=""GPU-{gpu}"",__name__=""{metric}"",pod=""p{gpu % 9}"""\n'
        for metric in metrics
        for gpu in range(100)
    ]
    file.write_text(HEADER.replace("\n", ",labels_raw\n") + "".join(lines))
    with edge.streamer() as streamer:
        commit_all(edge, streamer, file)
    assert len(values(edge.published)) == 3000
    assert edge.states()[0].series_column == ""
    assert "makes a new series" not in caplog.text
