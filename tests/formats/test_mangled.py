"""Files of each format with splinters thrown in anywhere: streamer and `verify` read the same of them, however they are cut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, note
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from tests.examples import examples
from tests.formats import reading
from tests.formats.test_kept import FILES, NODE, SAID
from tests.strategies import mangled

DATELESS = b"#Time gpu pwr\n 23:59:58 3 301\n 00:00:01 3 302\n#Time gpu pwr sm\n 00:00:02 3 1 2\n"
KEPT = {path.stem: path.read_bytes() for path in FILES} | {"dateless": DATELESS}


@pytest.mark.parametrize("name", KEPT)
@hypothesis(max_examples=examples(40), deadline=None)
@given(st.data(), st.integers(1, 12))
def test_streamer_and_verify_agree(name: str, data: st.DataObject, limit: int) -> None:
    header, *rows = KEPT[name].splitlines(keepends=True)
    content = data.draw(mangled(header, st.sampled_from([*rows, header])))
    note(repr(content))
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.csv")
        path.write_bytes(content)
        reading.read(path, "", replace(SAID.get(name, NODE), date="2026-11-05"), limit)
