"""The arrows of the architecture: cores do no I/O and read no clock, and every layer imports only downward."""

import ast
import sys
from pathlib import Path

import pytest

import offhook

SOURCE = Path(__file__).parent.parent / "src" / "offhook"

CORES = {"audiohook", "httpsig", "realtime", "bridge", "audio"}
PARTS = {"agents", "tools", "genesys", "store", "fleet", "telemetry", "config", "speech"}
SHELLS = {"gateway", "admin", "simulator", "emulator", "doctor", "demo", "bench"}
FRONT = {"cli", "__init__", "__main__"}
ANYWHERE = {"errors", "_version"}

# Which cores a core may build on, besides itself.
CORE_NEEDS: dict[str, set[str]] = {
    "audio": set(),
    "httpsig": set(),
    "audiohook": {"audio"},
    "realtime": set(),
    "bridge": {"audiohook", "realtime", "audio"},
}
# Parts that stand on other parts; all may use the cores.
PART_NEEDS: dict[str, set[str]] = {
    "tools": {"genesys"},
    "agents": {"tools"},
    "config": {"agents", "tools", "genesys"},
}
CORE_LIBRARIES = {"msgspec", "http_sf", "pybase64", "audioop"}
# Standard modules that are pure computation; everything else of the standard library is not for cores.
CORE_STDLIB = {
    "__future__", "ast", "audioop", "base64", "binascii", "bisect", "collections", "dataclasses", "enum", "functools",
    "hashlib", "hmac", "heapq", "io", "itertools", "json", "math", "operator", "re", "string", "struct", "types",
    "typing", "urllib.parse", "uuid", "wave", "warnings", "array",
}  # fmt: skip


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def layer(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            # `from offhook import audio` names a package of ours, not a member.
            found.update(
                f"{node.module}.{alias.name}" if node.module == "offhook" else str(node.module) for alias in node.names
            )
    return found


def ours(path: Path) -> set[str]:
    layers = {name.split(".")[1] for name in imports(path) if name.startswith("offhook.")}
    # `from offhook import Agent` is what users write; it stands for the modules behind the name.
    return {offhook._HOMES.get(name, f"offhook.{name}").split(".")[1] for name in layers}


@pytest.mark.parametrize("path", [p for p in modules() if layer(p) in CORES], ids=lambda p: str(p.relative_to(SOURCE)))
def test_cores_do_no_io_and_read_no_clock(path: Path) -> None:
    for name in imports(path):
        root = name.split(".")[0]
        if root == "offhook":
            continue
        if root in sys.stdlib_module_names or root == "audioop":
            assert name in CORE_STDLIB or root in CORE_STDLIB - {"urllib"}, f"{name} is not for a core"
        else:
            assert root in CORE_LIBRARIES, f"{name} is not for a core"
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        assert not isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.Global), (
            f"{path}: a core neither waits nor shares"
        )
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"open", "print", "input", "exec", "eval"}, f"{path}: {node.func.id}()"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_arrows_point_down(path: Path) -> None:
    here = layer(path)
    used = ours(path) - {here} - ANYWHERE
    if here in CORES:
        allowed = CORE_NEEDS[here]
    elif here in PARTS:
        allowed = CORES | PART_NEEDS.get(here, set())
    elif here in SHELLS:
        allowed = CORES | PARTS | SHELLS
    elif here in ANYWHERE:
        allowed = set()
    else:
        assert here in FRONT, f"{path}: in no layer; name it in this test and in docs/explanation/architecture.md"
        allowed = CORES | PARTS | SHELLS | FRONT
    assert used <= allowed, f"{path} imports {sorted(used - allowed)}"


def test_only_the_socket_modules_know_the_websocket_libraries() -> None:
    knows: dict[str, set[str]] = {"picows": set(), "aiohttp": set()}
    for path in modules():
        if layer(path) in {"tools", "genesys", "admin"}:
            continue  # they are HTTP clients, and an HTTP server
        for name in imports(path):
            if name.split(".")[0] in knows:
                knows[name.split(".")[0]].add(str(path.relative_to(SOURCE)))
    assert knows["picows"] == {"gateway/realtime_link.py"}
    assert knows["aiohttp"] <= {
        "gateway/connection.py",
        "gateway/listener.py",
        "gateway/realtime_link_aiohttp.py",
        "simulator/dialer.py",
        "emulator/server.py",
        "genesys/transport.py",
        "tools/http_clients.py",
        "tools/http_exchange.py",
    }


def test_a_breach_is_seen(tmp_path: Path) -> None:
    breach = tmp_path / "breach.py"
    breach.write_text("import time\nfrom offhook.gateway import listener\nfrom offhook import cli\n")
    assert imports(breach) == {"time", "offhook.gateway", "offhook.cli"}
    assert ours(breach) == {"gateway", "cli"}
