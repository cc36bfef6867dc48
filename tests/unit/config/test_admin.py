from typing import Any

import pytest

from offhook.config import Config, ConfigError, HostPort, Problem, parse_config
from offhook.config.schema import is_local
from offhook.config.show import to_yaml

AGENTS = "agents: {support: {instructions: Talk.}}\nkeys: [{id: k, secret: c2VjcmV0}]\nlisten: 127.0.0.1:0\n"
TOKEN = "0123456789abcdef"


def read(text: str, **environ: str) -> Config:
    return parse_config(AGENTS + text, environ=environ).config


def problem(text: str) -> Problem:
    with pytest.raises(ConfigError) as caught:
        read(text)
    (found,) = caught.value.problems
    return found


def test_defaults() -> None:
    config = read("")
    assert (config.admin, config.admin_token, config.admin_hosts, config.admin_tls) == (
        HostPort("127.0.0.1", 8081), (), (), None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        (f"admin_token: {TOKEN}", [TOKEN]),
        (f"admin_token: [{TOKEN}, '{TOKEN}2 ']", [TOKEN, f"{TOKEN}2"]),
        ("admin_token: ${TOKEN}", [TOKEN]),
        ("admin_token: ${NOTHING:-}", []),
        ("admin_token: ['${TOKEN}', '${NOTHING:-}']", [TOKEN]),
        ("admin_token:", []),
    ],
)
def test_tokens(text: str, tokens: list[str]) -> None:
    config = read(text, TOKEN=f"{TOKEN}\n")
    assert [token.get_secret_value() for token in config.admin_token] == tokens
    assert TOKEN not in repr(config) + to_yaml(config.model_dump(mode="json"))


@pytest.mark.parametrize("token", ["short", "ä" * 20, "'two words of a token'", "x" * 600, "'tab\\tin it 12345678'"])
def test_tokens_that_are_none(token: str) -> None:
    found = problem(f"admin_token: {token}")
    assert (found.code, found.path) == ("OH-CONF-08", "admin_token")
    assert "openssl rand" in found.fix
    assert token not in str(found)


@pytest.mark.parametrize("address", ["0.0.0.0:8081", ":8081", "'[::]:8081'", "10.1.2.3:8081", "admin.example:8081"])
def test_open_to_other_machines_it_needs_a_token(address: str) -> None:
    found = problem(f"admin: {address}")
    assert (found.code, found.path, found.mark.line) == ("OH-CONF-14", "admin", 4)
    assert "admin_token" in found.fix
    loaded = parse_config(f"{AGENTS}admin: {address}\nadmin_token: {TOKEN}", environ={})
    assert [warning.code for warning in loaded.warnings] == ["OH-CONF-58"]
    tls = "admin_tls: {cert: a, key: b}"
    assert not parse_config(f"{AGENTS}admin: {address}\nadmin_token: {TOKEN}\n{tls}", environ={}).warnings


def test_a_token_that_is_wrong_is_one_problem() -> None:
    assert problem("admin_token: short\nadmin: 0.0.0.0:8081").path == "admin_token"


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("LOCALHOST", True),
     ("127.0.0.1.example.com", False), ("0.0.0.0", False), ("::", False), ("localhost.example", False)],  # noqa: S104
)  # fmt: skip
def test_what_only_this_machine_reaches(host: str, local: bool) -> None:
    assert is_local(HostPort(host, 1)) is local


def test_hosts() -> None:
    assert read("admin_hosts: [Admin.Example.com., offhook_admin]").admin_hosts == (
        "admin.example.com",
        "offhook_admin",
    )


@pytest.mark.parametrize("host", ["https://admin.example", "admin.example:443", "*", "''", "a b", "a..b", "x/y", "é"])
def test_hosts_that_are_none(host: str) -> None:
    assert problem(f"admin_hosts: [{host!r}]" if "'" not in host else f"admin_hosts: [{host}]").path == "admin_hosts[0]"


@pytest.mark.parametrize("given", [{"admin": "0.0.0.0:1"}, {"admin": HostPort("0.0.0.0", 1)}])  # noqa: S104
def test_the_same_from_python(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="there must be a token"):
        Config.model_validate({"agents": {}, **given})
