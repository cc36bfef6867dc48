from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from offhook.cli.config import config as config_command
from offhook.config import ConfigError, LoadedConfig, parse_config
from offhook.config.genesys import GenesysConfig
from offhook.genesys import REGIONS, PlatformAccess

SECRET = "T0p-secret"
TEXT = f"""\
keys: [{{id: k, secret: c2VjcmV0}}]
genesys:
  region: eu-central-1
  client_id: 5e1f0c1a
  client_secret: {SECRET}
agents:
  a:
    instructions: x
    outputs: {{TIER: {{}}}}
    tools:
      - end_call
      - data_action:
          id: custom_-_0c9a
          name: get_customer
          timeout: 10
          idempotent: false
          result: /customer/name
          outputs: {{TIER: /customer/tier}}
          redact: ["customers[*].ssn"]
"""


def genesys(**settings: Any) -> GenesysConfig:
    given = {"region": "eu-central-1", "client_id": "5e1f0c1a", "client_secret": SECRET, **settings}
    return GenesysConfig.model_validate(given)


def parse(text: str) -> LoadedConfig:
    return parse_config(text, source="x.yaml", environ={})


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return [str(problem) for problem in caught.value.problems]


def test_a_file_with_a_data_action() -> None:
    config = parse(TEXT).config
    assert config.genesys is not None
    assert config.genesys.access() == PlatformAccess(
        api_url="https://api.mypurecloud.de",
        login_url="https://login.mypurecloud.de",
        client_id="5e1f0c1a",
        client_secret=SECRET,
    )
    (action,) = config.agents["a"].tool_entries
    assert type(action).__name__ == "DataAction"
    assert SECRET not in repr(config) + repr(config.genesys.access()) + config.model_dump_json()


def test_the_effective_configuration_can_be_read_again(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(TEXT)
    shown = CliRunner().invoke(config_command, ["show", "-c", str(file)]).stdout
    assert SECRET not in shown
    again = parse(shown.replace("*" * 10, "c2VjcmV0")).config
    entries = [config.agents["a"].tool_entries[0] for config in (again, parse(TEXT).config)]
    assert entries[0].entry == entries[1].entry  # type: ignore[union-attr]


@pytest.mark.parametrize("region", REGIONS, ids=lambda region: region.name)
def test_every_region_by_every_name(region: Any) -> None:
    for name in (region.name, region.domain, region.api_host, *region.titles):
        access = genesys(region=name).access()
        assert (access.api_url, access.login_url) == (f"https://{region.api_host}", f"https://{region.login_host}")
        assert genesys(region=name).region == region.name


@pytest.mark.parametrize(
    ("region", "fix"),
    [
        ("eu-centrall-1", "did you mean eu-central-1?"),
        ("mypurecloud.dee", "did you mean mypurecloud.de?"),
        ("https://api.mypurecloud.de", "did you mean api.mypurecloud.de?"),
        ("EMEA (Frankfurd)", "did you mean EMEA (Frankfurt)?"),
        ("germany", "known are us-east-1, us-east-2, us-west-2, "),
    ],
)
def test_an_unknown_region_is_said_with_its_place_and_the_nearest(region: str, fix: str) -> None:
    (problem,) = problems(TEXT.replace("region: eu-central-1", f'region: "{region}"'))
    where = "x.yaml:3:11: OH-CONF-08 genesys.region: there is no such region of Genesys Cloud; "
    assert problem.startswith(where + fix)


def test_an_unknown_region_is_exit_status_2(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(TEXT.replace("eu-central-1", "eu-central-9"))
    result = CliRunner().invoke(config_command, ["check", "-c", str(file)])
    assert result.exit_code == 2
    assert f"{file}:3:11: OH-CONF-08 genesys.region" in result.stderr


def test_a_data_action_without_access() -> None:
    lines = TEXT.splitlines(keepends=True)
    text = "".join(lines[:1] + lines[5:])
    assert problems(text) == [
        "x.yaml:8:9: OH-CONF-10 agents.a.tools[1]: data actions need the section genesys; "
        "add genesys: with region, client_id and client_secret"
    ]
    assert problems(text + "genesys:\n") == problems(text)


def test_everything_that_is_wrong_at_once() -> None:
    text = TEXT.replace("region: eu-central-1", "regin: eu-central-1").replace("id: custom_-_0c9a", "ids: 7")
    text = text.replace("/customer/name", "customer.name").replace(f"  client_secret: {SECRET}\n", "")
    assert [line.partition(": ")[2] for line in problems(text)] == [
        "OH-CONF-06 genesys.region: is missing",
        "OH-CONF-06 genesys.client_secret: is missing",
        "OH-CONF-05 genesys.regin: there is no such setting; did you mean region?",
        "OH-CONF-06 agents.a.tools[1].data_action.id: is missing",
        "OH-CONF-05 agents.a.tools[1].data_action.ids: there is no such setting; did you mean id?",
        "OH-CONF-08 agents.a.tools[1].data_action.result: a JSON Pointer begins with /, like /customer/name; "
        "empty, it means the whole document",
    ]


def test_odd_data_beside_data_actions_is_no_matter_to_the_check() -> None:
    assert "OH-CONF-07" in problems("agents: {a: [], b: {tools: 7}, c: {tools: [7]}}")[0]


@pytest.mark.parametrize(
    "url",
    [
        "https://proxy.example.com",
        "https://proxy.example.com:8443/genesys/",
        "http://127.0.0.1:1",
        "http://[::1]:1",
        "http://localhost",
    ],
)
def test_other_hosts(url: str) -> None:
    access = genesys(api_url=url, login_url=url).access()
    assert access.api_url == access.login_url == url.rstrip("/")
    assert genesys(api_url="", login_url=None).access().api_url == "https://api.mypurecloud.de"


@pytest.mark.parametrize(
    "url",
    [
        "http://api.mypurecloud.de",
        "https://",
        "ftp://localhost",
        "https://me@x",
        "https://x?y",
        "https://x#y",
        "x",
        "https://a b",
    ],
)
def test_hosts_that_cannot_be(url: str) -> None:
    for setting in ("api_url", "login_url"):
        with pytest.raises(ValidationError, match="https://HOST"):
            genesys(**{setting: url})


@pytest.mark.parametrize("client_id", ["", " ", "a:b", "a b", "a\nb", "\u00e4"])
def test_client_ids_that_cannot_be(client_id: str) -> None:
    with pytest.raises(ValidationError, match="client_id"):
        genesys(client_id=client_id)


def test_line_feeds_of_files_are_not_part_of_the_client() -> None:
    access = genesys(client_id="a\n", client_secret="b\n").access()
    assert (access.client_id, access.client_secret) == ("a", "b")
    with pytest.raises(ValidationError, match="client_secret"):
        genesys(client_secret=" \n")
