"""What ARCHITECTURE.md, CONTRIBUTING.md and the docstrings of packages name is what there is: files, folders, names in them."""

from __future__ import annotations

import ast
import re
from configparser import ConfigParser
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.docs.pages import ROOT, prose

MAP, RECIPES = ROOT / "docs" / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md"
PACKAGE = ROOT / "telemetry"
# A path with a folder or an ending, and behind a colon a name in that file. `<name>` in a path is for the reader to fill in.
REFERENCE = re.compile(r"`([\w.<>-]*[\w>](?:/[\w.<>-]*)+|[\w.-]+\.(?:py|md|cfg|toml|yml|yaml|json))(?::([\w.]+))?`")
# Which are named like files and are none of the repository.
NOT_FILES = {"cluster/node", "central/uploads"}


class Reference(NamedTuple):
    """A file or folder that a page names, and the name in it, if any."""

    page: Path
    path: str
    name: str


def references() -> list[Reference]:
    found = [Reference(page, *groups) for page in (MAP, RECIPES) for groups in REFERENCE.findall(prose(page))]
    return sorted({each for each in found if each.path not in NOT_FILES})


def places(path: str) -> list[Path]:
    """The files a path may mean: from the repository's root, or within the package."""
    return [file for root in (ROOT, PACKAGE) if (file := root / path).exists()]


@cache
def names(file: Path) -> frozenset[str]:
    """What is defined in a module: at its top, and in its classes as `Class.method`."""
    made: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        match node:
            case ast.ClassDef(name=name, body=body):
                made |= {name, *(f"{name}.{target}" for item in body for target in targets(item))}
            case _:
                made.update(targets(node))
    return frozenset(made)


def targets(node: ast.stmt) -> list[str]:
    """What a statement gives a name to."""
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=assigned):
            return [part.id for target in assigned for part in ast.walk(target) if isinstance(part, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []


def test_both_pages_name_files_and_functions() -> None:
    assert {page for page, _, _ in references()} == {MAP, RECIPES}
    assert len([each for each in references() if each.name]) > 30


@pytest.mark.parametrize("reference", references(), ids=lambda each: f"{each.path}:{each.name}")
def test_what_is_named_exists(reference: Reference) -> None:
    page, path, name = reference
    if "<" in path:
        assert places(path.rpartition("/")[0] if "<" in path.rpartition("/")[2] else path.partition("<")[0])
        return
    files = places(path)
    assert files, f"{page.name} names {path}, which does not exist"
    if name and files[0].suffix == ".py":
        assert any(name in names(file) for file in files), f"{page.name} names {name}, which {path} does not define"
    elif name:
        assert re.search(rf"\b{name}\b", files[0].read_text(encoding="utf-8")), f"{path} does not hold {name}"


def test_the_map_has_a_line_for_each_package_and_each_module_beside_them() -> None:
    packages = {f"`{file.parent.relative_to(PACKAGE)}/`" for file in PACKAGE.rglob("__init__.py") if file.parent != PACKAGE}
    modules = {f"`{file.name}`" for file in PACKAGE.glob("*.py") if not file.name.startswith("__")}
    listed = {cell for row in re.findall(r"^\| (`.+?) \|", MAP.read_text(), re.MULTILINE) for cell in row.split(", ")}
    assert packages | modules <= listed


def test_the_map_has_the_order_of_imports_that_is_checked() -> None:
    checked = ConfigParser()
    checked.read(ROOT / "setup.cfg")
    layers = checked["importlinter:contract:layers"]["layers"].strip()
    assert f"```text\n{layers}\n```" in MAP.read_text(encoding="utf-8")


def test_the_map_explains_each_further_contract() -> None:
    checked = ConfigParser()
    checked.read(ROOT / "setup.cfg")
    contracts = {name.rpartition(":")[2] for name in checked.sections() if name.startswith("importlinter:contract:")}
    table = MAP.read_text(encoding="utf-8").partition("Further contracts")[2].partition("\n## ")[0]
    assert {*re.findall(r"(?m)^\| `(\w+)` \|", table), "layers"} == contracts


@pytest.mark.parametrize("package", sorted(PACKAGE.rglob("__init__.py")), ids=lambda file: str(file.parent.relative_to(ROOT)))
def test_a_package_names_all_its_modules(package: Path) -> None:
    named = re.findall(r"`(\w+)/?`", ast.get_docstring(ast.parse(package.read_text(encoding="utf-8"))) or "")
    modules = {file.stem for file in package.parent.glob("*.py")} | {
        file.parent.name for file in package.parent.glob("*/__init__.py")
    }
    assert {module for module in modules if not module.startswith("_")} <= set(named)
