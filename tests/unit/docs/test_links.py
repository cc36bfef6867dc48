"""Links and names in the pages lead somewhere."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from offhook.cli import main
from tests.unit.docs.pages import PAGES, ROOT, Block, blocks, name_of, without_code

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_COMMAND = re.compile(r"(?:^|[;&|] *|\w+=\S+ +)(?:\.venv/bin/)?offhook +(\w+)(?: +(\w+))?(.*)$")


def slug(heading: str) -> str:
    """Return the anchor of a heading, as GitHub and MyST make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#{1,3} (.+)$", without_code(page.read_text("utf-8")), re.MULTILINE)
    return {slug(heading) for heading in headings}


def commands(block: Block) -> list[str]:
    return [line[2:].split("  #")[0].strip() for line in block.text.splitlines() if line.startswith("$ ")]


COMMANDS = [(str(block), command) for block in blocks("console") for command in commands(block)]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_resolve(page: Path) -> None:
    for link in _LINK.findall(without_code(page.read_text("utf-8"))):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_in_the_table_of_contents() -> None:
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    pages = {
        str(page.relative_to(ROOT / "docs").with_suffix("")) for page in PAGES if page.is_relative_to(ROOT / "docs")
    }
    assert pages - {"index"} <= set(index.splitlines())


def test_there_are_commands_to_check() -> None:
    assert len(COMMANDS) > 10


@pytest.mark.parametrize(("place", "command"), COMMANDS)
def test_commands_exist(place: str, command: str) -> None:
    """Each `offhook` command of a page exists and knows the options that the page gives it."""
    match = _COMMAND.search(command)
    if match is None:
        return
    name, sub, rest = match[1], match[2], match[3]
    path = [name, sub] if name in ("bench", "config") else [name]
    shown = CliRunner().invoke(main, [*path, "--help"])
    assert shown.exit_code == 0, place
    for option in re.findall(r"(?<=\s)--?[a-z][\w-]*", f" {rest}"):
        assert re.search(rf"{re.escape(option)}\b", shown.output), f"{place}: {option}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_make_targets_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z.]+):", makefile, re.MULTILINE))
    named = re.findall(r"(?:`|\$ )make ([a-z.]+)", page.read_text("utf-8"))
    assert set(named) <= targets


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_that_a_page_names_exist(page: Path) -> None:
    """Paths in backticks and on command lines, from the root of the repository or from `src/offhook`."""
    text = page.read_text("utf-8")
    for path in re.findall(r"(?:`| )((?:src|tests|scripts|examples|docs|\.ci|requirements)/[\w./-]+)", text):
        assert (ROOT / path.rstrip(".")).exists(), path
    for folder in ("audiohook", "bridge", "realtime", "gateway", "agents", "simulator", "emulator", "cli"):
        for path in re.findall(rf"`({folder}/[\w/]+\.py)`", text):
            assert (ROOT / "src" / "offhook" / path).is_file(), path


def test_every_module_of_the_call_is_on_the_page_of_the_architecture() -> None:
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text("utf-8")
    modules = sorted((ROOT / "src" / "offhook" / "bridge").glob("[a-z]*.py"))
    missing = [module.name for module in modules if f"`bridge/{module.name}`" not in page]
    assert not missing


def test_every_layer_is_on_the_page_of_the_architecture() -> None:
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text("utf-8")
    source = ROOT / "src" / "offhook"
    folders = {path.relative_to(source).parts[0] for path in source.glob("*/*.py")}
    named = set(re.findall(r"[a-z]+", " ".join(re.findall(r"^\| \*\*\w+\*\* \|([^|]*)\|", page, re.MULTILINE))))
    assert folders <= named
