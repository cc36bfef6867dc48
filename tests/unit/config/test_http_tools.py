"""Every mistake in an HTTP tool comes out of the configuration with the place of the nested key and a fix."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from offhook.cli.config import config as command
from offhook.config import ConfigError, parse_config
from offhook.tools.http import HttpTool

GOOD = """\
agents:
  shop:
    instructions: x
    outputs: {BOOKING_ID: {}}
    tools:
      - http:
          name: book_slot
          description: Books an appointment.
          method: POST
          url: https://api.example.com/v1/slots/{{ args.slot_id }}/bookings
          headers: {Authorization: "Bearer ${SHOP_TOKEN}", X-Call: "{{ call.id }}"}
          parameters:
            type: object
            properties: {slot_id: {type: string}, day: {type: string}, seats: {type: integer}}
            required: [slot_id]
            additionalProperties: false
          query: {day: "{{ args.day }}"}
          body: {slot: "{{ args.slot_id }}", phone: "{{ call.ani }}", seats: "{{ args.seats }}"}
          result: /data/summary
          outputs: {BOOKING_ID: /data/id}
          timeout: 8
          confirm: true
          idempotency_header: Idempotency-Key
          max_bytes: 262144
          errors: {404: "There is no such slot."}
keys: [{id: k, secret: c2VjcmV0}]
"""


def lines(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, source="x.yaml", environ={"SHOP_TOKEN": "t0ken"})
    assert "t0ken" not in str(caught.value)
    return [str(problem) for problem in caught.value.problems]


def test_the_example() -> None:
    config = parse_config(GOOD, environ={"SHOP_TOKEN": "t0ken"}).config
    (tool,) = config.agents["shop"].tool_entries
    assert isinstance(tool, HttpTool)
    assert tool.definition.name == "book_slot"
    assert (tool.policy.timeout, tool.policy.confirm) == (8.0, True)
    assert "t0ken" not in repr(config) + config.model_dump_json()


def test_every_mistake_with_its_place() -> None:
    text = """\
agents:
  shop:
    instructions: x
    outputs: {BOOKING_ID: {}}
    tools:
      - http:
          name: get slot
          methd: POST
          url: https://{{ args.host }}/x
          parameters: {type: object, properties: {id: {type: text}}, required: [idd]}
      - http:
          name: one
          description: One.
          method: FETCH
          url: |-
            https://api.example.com/{{ args.id }}
          parameters: {slot_id: {type: string}}
          result: {a: data}
          errors: {404: [], 20: x}
      - http:
          name: two
          description: Two.
          method: DELETE
          url: https://127.0.0.1/{{ args.idd }}?x={{ args.id }}
          parameters: {type: object, properties: {id: {type: string}}, required: [id]}
          headers: {Host: x, A: "{{ args.no }}"}
          body:
            lines:
              - text: |
                  One
                  {{ args.text }}
          retries: 2
keys: [{id: k, secret: c2VjcmV0}]
"""
    path = "agents.shop.tools"
    assert lines(text) == [
        f"x.yaml:6:9: OH-CONF-06 {path}[0].http.description: is missing",
        f"x.yaml:7:17: OH-CONF-08 {path}[0].http.name: should match pattern '^[A-Za-z0-9_-]{{1,64}}$'",
        f"x.yaml:8:11: OH-CONF-05 {path}[0].http.methd: there is no such setting; did you mean method?",
        f"x.yaml:9:16: OH-CONF-08 {path}[0].http.url: should be https://HOST/path; the host is fixed, "
        "templates stand in path and query",
        f"x.yaml:10:62: OH-CONF-08 {path}[0].http.parameters.properties.id.type: this is no JSON schema; "
        "types are array, boolean, integer, null, number, object, string",
        f"x.yaml:14:19: OH-CONF-08 {path}[1].http.method: should be 'GET', 'HEAD', 'PUT', 'PATCH', 'POST' or 'DELETE'",
        f"x.yaml:17:11: OH-CONF-08 {path}[1].http.parameters.type: the parameters are a JSON schema with type: object",
        f"x.yaml:18:23: OH-CONF-08 {path}[1].http.result.a: a JSON Pointer begins with /, like /customer/name; "
        "empty, it means the whole document",
        f"x.yaml:19:25: OH-CONF-07 {path}[1].http.errors.404: should be text",
        f"x.yaml:19:29: OH-CONF-08 {path}[1].http.errors.20: should be greater than or equal to 300",
        f"x.yaml:24:16: OH-CONF-08 {path}[2].http.url: the address is a private one; "
        "set allow_private: true if the tool is meant to reach it",
        f"x.yaml:26:21: OH-CONF-08 {path}[2].http.headers.Host: this header is set by offhook",
        f"x.yaml:26:33: OH-CONF-09 {path}[2].http.headers.A: there is no parameter no",
        f"x.yaml:31:1: OH-CONF-09 {path}[2].http.body.lines[0].text: there is no parameter text",
        f"x.yaml:32:20: OH-CONF-08 {path}[2].http.retries: a DELETE request goes out once; "
        "leave this out, or say idempotent: true if a repeat does no harm",
    ]


@pytest.mark.parametrize(
    ("outputs", "fix"),
    [("{BOKING_ID: {}}", "did you mean BOKING_ID?"), ("{X: {}}", "declare it among the agent's outputs")],
)
def test_an_output_that_the_agent_does_not_declare(outputs: str, fix: str) -> None:
    text = GOOD.replace("outputs: {BOOKING_ID: {}}", f"outputs: {outputs}")
    assert lines(text) == [
        "x.yaml:20:21: OH-CONF-10 agents.shop.tools[0].http.outputs.BOOKING_ID: "
        f"the agent has no such output variable; {fix}"
    ]


def test_names_of_tools() -> None:
    assert "OH-CONF-10 agents.shop.tools[0]: the name of the tool is one of call control" in str(
        lines(GOOD.replace("book_slot", "end_call"))
    )
    entry = GOOD[GOOD.index("      - http:") : GOOD.index("keys:")]
    assert lines(GOOD.replace(entry, entry + entry)) == [
        "x.yaml:6:7: OH-CONF-10 agents.shop.tools: two tools are called book_slot"
    ]


def test_a_secret_that_is_not_set() -> None:
    with pytest.raises(ConfigError, match=r"OH-CONF-03 .*headers.Authorization: the environment variable SHOP_TOKEN"):
        parse_config(GOOD, environ={})


def test_show_hides_what_may_be_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "t0ken")
    file = tmp_path / "x.yaml"
    file.write_text(GOOD.replace("{slot:", "{secret: hunter2, slot:").replace("{day:", "{key: hunter2, day:", 1))
    for options in ([], ["--json"]):
        result = CliRunner().invoke(command, ["show", "-c", str(file), *options])
        assert result.exit_code == 0
        assert "book_slot" in result.stdout
        assert "t0ken" not in result.stdout
        assert "hunter2" not in result.stdout
