"""The commands and the SQL of the page about the store are tried as they are written, on a database with days to seal."""

from __future__ import annotations

import re
import shlex

from click.testing import CliRunner
from sqlalchemy import Engine, inspect, text

from telemetry.cli import main
from telemetry.collector.writer import BatchWriter
from telemetry.settings import Settings
from tests.batches import batch, key, now_s, readings
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "STORE.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The blocks of a language."""
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", PAGE)


def test_commands_and_sql_do_what_the_page_says(engine: Engine, settings: Settings, environ: dict[str, str]) -> None:
    rows = [(key(gpu="GPU-1"), second, 2.5) for second in (0, 86_400, now_s() - 60)]
    BatchWriter(settings, engine).write([batch(readings(*rows))])
    commands = [shlex.split(line, comments=True) for block in blocks("sh") for line in block.splitlines()]
    assert len(commands) == 10
    for name, *words in commands:
        assert name == "telemetry"
        result = CliRunner(env=environ).invoke(main, words)
        assert result.exit_code == 0, result.output
    with engine.connect() as connection:
        answers = [connection.execute(text(block)).all() for block in blocks("sql")]
        assert answers[0][0][0] > 0
        assert [value for _, value in answers[1]] == [2.5]
        # What was sealed is older than what the page has kept.
        dropped = "SELECT dropped, (SELECT count(*) FROM sealed_spans) FROM retention WHERE level = 'samples'"
        assert connection.execute(text(dropped)).one() == (2, 0)


def test_every_table_of_samples_is_on_the_page(engine: Engine) -> None:
    tables = {name for name in inspect(engine).get_table_names() if re.match("sample|seal|late|partition", name)}
    assert tables <= set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
