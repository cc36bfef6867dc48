"""`offhook config check` as an operator runs it: every mistake at once, with its place and the way to mend it."""

from pathlib import Path

from tests.acceptance.world import run

SECRET = "c2VjcmV0IG9mIGdlbmVzeXM="
TEXT = f"""\
keys: [{{id: k, secret: {SECRET}}}]
genesys:
  region: eu-centrl-1
  client_id: 5e1f0c1a
  client_secret: {SECRET}
agents:
  tools:
    instructions: x
    tools:
      - end_cal
      - {{python: "no_such_module:order_status"}}
      - {{pyton: "shop:order_status"}}
  outputs:
    instructions: x
    outputs: {{ORDER_ID: {{}}}}
    tools:
      - http:
          name: look
          description: Looks.
          url: https://shop.example.com/orders
          outputs: {{ORDERID: /id}}
      - data_action:
          id: custom_-_1
          outputs: {{TIER: /tier}}
  choice:
    instructions: x
    tools: [end_call]
    tool_choice: {{name: end_cal}}
  prompt:
    instructions: x
    greeting: {{text: a, instructions: b}}
  recording:
    instructions: x
    goodbye:
      text: Goodbye.
      wav: nothing.wav
  language:
    instructions: x
    no_input: {{prompts: [{{text: {{english: Hello?}}}}]}}
"""
EXPECTED = (
    ("eu-centrl-1", "OH-CONF-08 genesys.region: ", "did you mean eu-central-1?"),
    ("end_cal\n", "OH-CONF-10 agents.tools.tools[0]: ", "named tools are end_call, escalate, collect_digits"),
    ("{python:", "OH-CONF-10 agents.tools.tools[1]: ", "no_such_module:order_status cannot be imported"),
    ("{pyton:", "OH-CONF-10 agents.tools.tools[2]: ", "known are python, http, data_action"),
    ("ORDERID:", "OH-CONF-10 agents.outputs.tools[0].http.outputs.ORDERID: ", "did you mean ORDER_ID?"),
    ("TIER:", "OH-CONF-10 agents.outputs.tools[1].data_action.outputs.TIER: ", "declare it among the agent's outputs"),
    ("end_cal}", "OH-CONF-10 agents.choice.tool_choice.name: ", "did you mean end_call?"),
    ("{text: a", "OH-CONF-08 agents.prompt.greeting: ", "needs instructions, or text, or wav"),
    ("nothing.wav", "OH-CONF-08 agents.recording.goodbye.wav: ", "paths count from where offhook runs"),
    ("english:", "OH-CONF-08 agents.language.no_input.prompts[0].text.english: ", ""),
)


def place(text: str) -> str:
    """Return line and column of the only place where a text stands."""
    before, _, after = TEXT.partition(text)
    assert text not in after
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


async def test_every_mistake_is_told_with_its_place_and_a_way_to_mend_it(tmp_path: Path) -> None:
    path = tmp_path / "offhook.yaml"
    path.write_text(TEXT)
    status, out, err = await run("config", "check", "-c", str(path))
    assert (status, out) == (2, "")
    lines = err.splitlines()
    for line, (text, begins, fix) in zip(lines, EXPECTED, strict=True):
        assert line.startswith(f"{path}:{place(text)}: {begins}")
        assert fix in line
    assert SECRET not in err
