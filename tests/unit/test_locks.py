"""The locks are right, and the check of them finds what is not."""

import importlib.util
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_locks", ROOT / "scripts" / "check_locks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "requirements", tmp_path / "requirements"))


def test_the_locks_are_right(script: ModuleType) -> None:
    assert script.check(ROOT / "requirements", PROJECT) == []


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda text: text.replace("aiohttp==", "aiohttp>="), "runtime.txt: aiohttp>="),
        (lambda text: text.replace("--hash=sha256:", "--hash=md5:", 1), "has no hash"),
        (lambda text: text + "surprise==1.0\n", "runtime.txt: surprise has no hash"),
        (lambda text: "--extra-index-url https://evil.example\n" + text, "evil.example is not pinned"),
        (lambda text: text + "-e .\n", "runtime.txt: -e . is not pinned"),
        (lambda text: text.replace("click==", "clack=="), "runtime.txt: click is missing"),
        (lambda text: text.replace("jinja2==3", "jinja2==2"), "and pyproject.toml wants"),
        (lambda text: text.replace("yarl==1", "yarl==0"), "dev.txt: yarl is not 0"),
    ],
)
def test_what_is_wrong_is_found(script: ModuleType, locks: Path, spoil: Callable[[str], str], problem: str) -> None:
    lock = locks / "runtime.txt"
    lock.write_text(spoil(lock.read_text("utf-8")), "utf-8")
    assert any(problem in found for found in script.check(locks, PROJECT))


def test_what_pyproject_asks_for_has_to_be_locked(script: ModuleType, locks: Path) -> None:
    groups = {**PROJECT["dependency-groups"], "audit": ["no-such-auditor"]}
    wanted = {**PROJECT["project"], "optional-dependencies": {"more": ["no-such-extra"]}}
    problems = script.check(locks, {"project": wanted, "dependency-groups": groups})
    assert problems == ["dev.txt: no-such-extra is missing", "audit.txt: no-such-auditor is missing"]
