"""The pages that come from code are those of the code."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from offhook import errors
from tests.unit.docs.pages import PAGES, ROOT, name_of

SCRIPT = ROOT / "scripts" / "generate_reference.py"
REFERENCE = ROOT / "docs" / "reference"
GENERATED = ("cli.md", "configuration.md", "errors.md", "states.md", "wire.md")


def generate(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own script
        [sys.executable, SCRIPT, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_reference_is_current() -> None:
    checked = generate("--check")
    assert checked.returncode == 0, checked.stderr


def test_the_check_finds_what_is_stale_and_what_is_missing(tmp_path: Path) -> None:
    for name in GENERATED:
        (tmp_path / name).write_bytes((REFERENCE / name).read_bytes())
    (tmp_path / "errors.md").write_text("# Error codes\n")
    (tmp_path / "wire.md").unlink()

    checked = generate("--check", "--folder", tmp_path)

    assert checked.returncode == 1
    assert "errors.md, wire.md" in checked.stderr
    assert not (tmp_path / "wire.md").exists()


def test_pages_are_written_where_they_are_wanted(tmp_path: Path) -> None:
    assert generate("--folder", tmp_path / "new").returncode == 0
    assert {path.name for path in (tmp_path / "new").iterdir()} == set(GENERATED)
    for name in GENERATED:
        assert (tmp_path / "new" / name).read_text("utf-8") == (REFERENCE / name).read_text("utf-8")


def test_every_error_has_its_entry() -> None:
    page = (REFERENCE / "errors.md").read_text("utf-8")
    assert re.findall(r"^### (OH-\w+-\d\d)$", page, re.MULTILINE) == list(errors.catalogue())


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_error_code_that_a_page_names_exists(page: Path) -> None:
    named = set(re.findall(r"OH-[A-Z]+-\d\d", page.read_text("utf-8")))
    assert named <= set(errors.catalogue())
