"""`telemetry formats`: which files are read, and how to read one that is not.

Needs no broker and no database: it looks at the formats and, for `telemetry formats suggest`, at one file.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from telemetry.cli.session import json_option
from telemetry.formats.registry import FORMATS
from telemetry.formats.suggest.document import document
from telemetry.formats.suggest.table import NoSuggestionError
from telemetry.verify.contents import opened

HEAD_BYTES = 1 << 18


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def formats(context: click.Context, *, as_json: bool) -> None:
    """List the formats of files: how each is recognised, and what the settings of its source must say.

    Settings of sources stand in the file that TELEMETRY_SOURCE_SETTINGS names; docs/CSV_FORMATS.md explains them.
    """
    if context.invoked_subcommand:
        return
    known = [{"name": each.name, "version": each.version, "known_by": each.known_by, "needs": each.needs} for each in FORMATS]
    if as_json:
        click.echo(json.dumps(known))
        return
    for each in known:
        click.echo(f"{each['name']}\n  known by  {each['known_by']}\n  needs     {each['needs']}")


@formats.command
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def suggest(file: Path, *, as_json: bool) -> None:
    """Write what the settings of a source may say so that FILE is read, to be looked over.

    What the file does not say, such as a time zone, stands there as a comment with a question: nothing is guessed. Exits 1 with
    the reason if no settings can make it readable.
    """
    try:
        with opened(file) as content:
            head = bytes(content[:HEAD_BYTES])
        # A last line may be cut off.
        whole = head if len(head) < HEAD_BYTES else head[: head.rfind(b"\n") + 1]
        draft = document(whole, str(file.resolve()))
    except OSError as error:
        raise click.ClickException(f"{file} cannot be read: {error.strerror}") from None
    except NoSuggestionError as reason:
        raise click.ClickException(f"{file}: {reason}") from None
    if as_json:
        click.echo(json.dumps({"path": str(file.resolve()), "toml": draft.text, "questions": draft.questions}))
        return
    click.echo(draft.text, nl=False)
    if draft.questions:
        count = "one question" if len(draft.questions) == 1 else f"{len(draft.questions)} questions"
        click.echo(f"{count} to answer, then put it into the file that TELEMETRY_SOURCE_SETTINGS names", err=True)
