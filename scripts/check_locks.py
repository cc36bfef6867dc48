"""Check the locks in requirements/: every line pinned and hashed, and nothing missing that pyproject.toml asks for.

Usage: python scripts/check_locks.py [--folder FOLDER]
"""

import argparse
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
RUNTIME, DEV, AUDIT = "runtime.txt", "dev.txt", "audit.txt"

Lock = Mapping[str, Version]


def read(path: Path, problems: list[str]) -> Lock:
    """Return the versions of a lock by name; adds what is wrong with a line to `problems`."""
    found: dict[str, Version] = {}
    for entry in _entries(path.read_text("utf-8")):
        text, *options = re.split(r"\s+(?=--)", entry)
        name = text.partition("=")[0]
        if not re.fullmatch(r"[\w.-]+(?:\[[\w,-]+\])?==[\w.!+-]+(?: *;.+)?", text):
            problems.append(f"{path.name}: {text} is not pinned")
            continue
        if not options or not all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", option) for option in options):
            problems.append(f"{path.name}: {name} has no hash, or something besides")
        requirement = Requirement(text)
        (pin,) = requirement.specifier
        found[canonicalize_name(requirement.name)] = Version(pin.version)
    return found


def _entries(text: str) -> Iterator[str]:
    """Yield the requirements, each in one line; what is no requirement is one that cannot be right."""
    for line in re.sub(r" *\\\n *", " ", text).splitlines():
        if line.strip() and not line.startswith("#"):
            yield line.strip()


def missing(lock: Lock, name: str, wanted: list[str]) -> Iterator[str]:
    """Yield what of `wanted` a lock has not, or not in the right version."""
    for text in wanted:
        requirement = Requirement(text)
        version = lock.get(canonicalize_name(requirement.name))
        if version is None:
            yield f"{name}: {requirement.name} is missing"
        elif not requirement.specifier.contains(version, prereleases=True):
            yield f"{name}: {requirement.name} is {version}, and pyproject.toml wants {requirement.specifier}"


def check(folder: Path, project: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the locks of a folder."""
    problems: list[str] = []
    runtime, dev, audit = (read(folder / name, problems) for name in (RUNTIME, DEV, AUDIT))
    groups, needed = project["dependency-groups"], project["project"]["dependencies"]
    extras = [text for texts in project["project"].get("optional-dependencies", {}).values() for text in texts]
    problems += missing(runtime, RUNTIME, [*needed, *groups["build"]])
    problems += missing(dev, DEV, [*needed, *extras, *groups["build"], *groups["dev"], *groups["docs"]])
    problems += missing(audit, AUDIT, groups["audit"])
    for name, version in runtime.items():
        if dev.get(name) != version:
            problems.append(f"{DEV}: {name} is not {version} as in {RUNTIME}, so the tests run with another")
    return problems


def main() -> int:
    """Print what is wrong; status 1 if anything is."""
    parser = argparse.ArgumentParser(description="Check the locks of the dependencies.")
    parser.add_argument("--folder", type=Path, default=ROOT / "requirements", help="where the locks are")
    arguments = parser.parse_args()
    problems = check(arguments.folder, tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8")))
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
