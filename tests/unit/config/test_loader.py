from pathlib import Path
from typing import Any

import pytest

from offhook.agents import entries
from offhook.agents.prices import known_prices
from offhook.config import Config, ConfigError, HostPort, LoadedConfig, Problem, load_config, parse_config, reading
from offhook.httpsig import Key
from offhook.realtime.cost import Prices, TranscriptionPrice

ROOT = Path(__file__).parents[3]
ANY = "0.0.0.0"  # noqa: S104
MINIMAL = "agents: {a: {instructions: x}}\nkeys: [{id: k, secret: c2VjcmV0}]\n"


def parse(text: str, *overrides: str, **environ: str) -> LoadedConfig:
    return parse_config(text, source="x.yaml", overrides=overrides, environ=environ)


def problems(text: str, *overrides: str, **environ: str) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        parse(text, *overrides, **environ)
    return list(caught.value.problems)


def lines(text: str, *overrides: str, **environ: str) -> list[str]:
    return [str(problem) for problem in problems(text, *overrides, **environ)]


def test_defaults() -> None:
    config = parse(MINIMAL).config
    assert (config.listen, config.admin) == (HostPort(ANY, 8080), HostPort("127.0.0.1", 8081))
    assert config.base_path == "/audiohook"
    assert config.public_url is None
    assert config.dialled_url() is None
    assert config.default_agent is None
    assert config.tls is None
    assert config.needs_emulator


def test_the_contract() -> None:
    text = """\
listen: 0.0.0.0:8080
base_path: /audiohook
public_url: wss://voice.example.com/audiohook
admin: 127.0.0.1:8081
keys:
  - id: ${GENESYS_API_KEY}
    secret: ${GENESYS_CLIENT_SECRET}
    organizations: [D7934305-0972-4844-938e-9060eef73d05]
    agents: [support]
realtime:
  providers:
    - {name: openai, url: "wss://api.openai.com/v1/realtime", api_key: "${OPENAI_API_KEY}"}
agents:
  support:
    model: gpt-realtime-2.1
    voice: marin
    instructions: |
      You answer the phone for {{ input.COMPANY | default("Acme") }}. The caller's number is {{ call.ani }}.
    greeting: Greet the caller in one short sentence.
    tools: [end_call, escalate, {python: "tests.unit.tools.sample:order_status"}]
    inputs:  {COMPANY: {required: false}}
    outputs: {INTENT: {default: ""}, ESCALATE: {default: "false"}}
  listener: {mode: listen}
default_agent: support
tls: {cert: a.pem, key: b.pem}
limits: {max_calls: 10}
log: {format: json, level: debug}
"""
    loaded = parse(text, GENESYS_API_KEY="12345", GENESYS_CLIENT_SECRET="c2VjcmV0", OPENAI_API_KEY="sk-x")
    assert loaded.warnings == ()
    config = loaded.config
    (key,) = config.keys
    assert key.key() == Key("12345", (b"secret",))
    assert key.organizations == ("d7934305-0972-4844-938e-9060eef73d05",)
    assert key.agents == ("support",)
    assert not config.needs_emulator
    assert [provider.name for provider in config.usable_providers] == ["openai"]
    dialled = config.dialled_url()
    assert dialled is not None
    assert dialled.authority == "voice.example.com"
    registry = config.registry()
    assert list(registry.agents) == ["support", "listener"]


def test_starter_file_works_without_any_environment_variable() -> None:
    loaded = load_config(ROOT / "offhook.yaml", environ={})
    assert loaded.warnings == ()
    assert loaded.config.needs_emulator
    assert loaded.config.default_agent == "support"
    assert loaded.config.keys[0].key() == Key("demo-key")


def test_starter_file_with_everything_set() -> None:
    environ = {
        "OFFHOOK_LISTEN": "0.0.0.0:9000",
        "GENESYS_API_KEY": "k",
        "GENESYS_CLIENT_SECRET": "c2VjcmV0",
        "OPENAI_API_KEY": "sk-x",
    }
    loaded = load_config(ROOT / "offhook.yaml", environ=environ)
    assert loaded.warnings == ()
    assert not loaded.config.needs_emulator
    assert loaded.config.listen == HostPort(ANY, 9000)
    assert loaded.config.keys[0].key() == Key("k", (b"secret",))
    (warning,) = load_config(ROOT / "offhook.yaml", environ={**environ, "GENESYS_CLIENT_SECRET": ""}).warnings
    assert (warning.code, warning.path) == ("OH-CONF-54", "keys[0].id")


def test_all_errors_at_once_with_place_code_and_fix() -> None:
    text = """\
listen: 8080
base_pth: /x
keys:
  - id: 12345
    secret: "not base64!"
    organizations: [abc]
    agents: [suport]
  - {id: a, id: b}
  - id: ${NOPE_KEY}
  - id: ${NOPE_KEY:-a}
realtime:
  providers:
    - {name: a, url: "https://x", api_kye: 1}
    - {name: a, url: "wss://x"}
agents:
  support:
    instructions: |
      Hello {{ input.X }}
      and {{ call.anni }}
    speed: 9
    voice: true
    tools: [end_call, {htp: {}}, {python: "no.such:thing"}, foo]
    turn_detection: {type: semantic_vad, eagernes: high}
    greeting: {txt: hi}
    outputs: {OFFHOOK_X: {}, B: {default: false}}
    max_output_tokens: lots
    inputs: [COMPANY]
  007: {mode: listen}
  empty: {}
default_agent: nobody
log: {level: loud}
tls: {cert: x}
"""
    assert lines(text) == [
        "x.yaml:1:9: OH-CONF-07 listen: should be text; put it in quotes",
        "x.yaml:2:1: OH-CONF-05 base_pth: there is no such setting; did you mean base_path?",
        "x.yaml:4:9: OH-CONF-07 keys[0].id: should be text; put it in quotes",
        "x.yaml:5:13: OH-CONF-08 keys[0].secret: the client secret is not base64",
        "x.yaml:6:21: OH-CONF-08 keys[0].organizations[0]: should be an organization ID, a UUID",
        "x.yaml:7:14: OH-CONF-13 keys[0].agents[0]: there is no such agent; did you mean support?",
        "x.yaml:8:13: OH-CONF-04 keys[1].id: this is here twice, first in line 8",
        "x.yaml:9:9: OH-CONF-03 keys[2].id: the environment variable NOPE_KEY is not set; "
        "set it, or write ${NOPE_KEY:-default} (${NOPE_KEY:-} for nothing)",
        "x.yaml:10:9: OH-CONF-08 keys[3].id: another key has the same id; give one of them both secrets",
        "x.yaml:13:22: OH-CONF-08 realtime.providers[0].url: should be wss://HOST/path, "
        "like wss://api.openai.com/v1/realtime",
        "x.yaml:13:35: OH-CONF-05 realtime.providers[0].api_kye: there is no such setting; did you mean api_key?",
        "x.yaml:14:14: OH-CONF-08 realtime.providers[1].name: another provider has the same name",
        "x.yaml:19:1: OH-CONF-09 agents.support.instructions: there is no call.anni; did you mean call.ani?",
        "x.yaml:20:12: OH-CONF-08 agents.support.speed: should be less than or equal to 1.5",
        "x.yaml:21:12: OH-CONF-07 agents.support.voice: should be text; put it in quotes",
        "x.yaml:22:23: OH-CONF-10 agents.support.tools[1]: there is no such kind of tool; "
        f"known are {', '.join(entries._KINDS)}",
        "x.yaml:22:34: OH-CONF-10 agents.support.tools[2]: no.such:thing cannot be imported "
        "(ModuleNotFoundError: No module named 'no')",
        "x.yaml:22:61: OH-CONF-10 agents.support.tools[3]: there is no tool of this name; "
        "named tools are end_call, escalate, collect_digits",
        "x.yaml:23:42: OH-CONF-05 agents.support.turn_detection.eagernes: there is no such setting; "
        "did you mean eagerness?",
        "x.yaml:24:16: OH-CONF-05 agents.support.greeting.txt: there is no such setting; did you mean text?",
        "x.yaml:25:15: OH-CONF-08 agents.support.outputs.OFFHOOK_X: "
        "names that begin with OFFHOOK_ are for offhook's own outputs",
        "x.yaml:25:43: OH-CONF-07 agents.support.outputs.B.default: should be text; put it in quotes",
        "x.yaml:26:24: OH-CONF-08 agents.support.max_output_tokens: should be 'inf'",
        "x.yaml:27:13: OH-CONF-07 agents.support.inputs: should be a mapping",
        "x.yaml:29:3: OH-CONF-06 agents.empty.instructions: an agent that talks needs instructions",
        "x.yaml:30:16: OH-CONF-13 default_agent: there is no such agent; known are 007, empty, support",
        "x.yaml:31:14: OH-CONF-08 log.level: should be 'debug', 'info', 'warning' or 'error'",
        "x.yaml:32:1: OH-CONF-06 tls.key: is missing",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["x.yaml:1:1: OH-CONF-06 agents: is missing"]),
        ("agents: {}", ["x.yaml:1:9: OH-CONF-08 agents: should have at least 1 item after validation, not 0"]),
        ("agents:", ["x.yaml:1:8: OH-CONF-07 agents: should be a mapping"]),
        (
            "a: {b: ${C}}",
            [
                "x.yaml:1:9: OH-CONF-02 this is not YAML (while parsing a flow mapping expected ',' or '}', "
                "but got '{'); put ${NAME} in quotes between { and }"
            ],
        ),
        (
            "a:\tb",
            [
                "x.yaml:1:3: OH-CONF-02 this is not YAML (while scanning for the next token found character "
                "'\\t' that cannot start any token); indent with blanks"
            ],
        ),
        (
            "a: [",
            [
                "x.yaml:1:5: OH-CONF-02 this is not YAML (while parsing a flow node expected the node content, "
                "but found '<stream end>')"
            ],
        ),
        (
            MINIMAL + "listen: localhost",
            ["x.yaml:3:9: OH-CONF-08 listen: should be HOST:PORT with a port from 0 to 65535"],
        ),
        (
            MINIMAL + "listen: h:65536",
            ["x.yaml:3:9: OH-CONF-08 listen: should be HOST:PORT with a port from 0 to 65535"],
        ),
        (
            MINIMAL + "listen: ::1:80",
            ["x.yaml:3:9: OH-CONF-08 listen: should be HOST:PORT, with an IPv6 address in brackets"],
        ),
        (MINIMAL + "base_path: audiohook", ["x.yaml:3:12: OH-CONF-08 base_path: should be a path that starts with /"]),
        (
            MINIMAL + "public_url: http//x",
            ["x.yaml:3:13: OH-CONF-08 public_url: the public URL must start with wss://"],
        ),
        (
            "agents: {a: {instructions: '{{ x }}'}}",
            [
                "x.yaml:1:28: OH-CONF-09 agents.a.instructions: there is no variable x; the call's are "
                "input.NAME and call.NAME"
            ],
        ),
        (
            MINIMAL + "log: {level: 5, colour: red}",
            [
                "x.yaml:3:14: OH-CONF-08 log.level: should be 'debug', 'info', 'warning' or 'error'",
                "x.yaml:3:17: OH-CONF-05 log.colour: there is no such setting; known are format, level",
            ],
        ),
    ],
)
def test_errors(text: str, expected: list[str]) -> None:
    assert lines(text) == expected


def test_names_and_limits_of_keys() -> None:
    text = """\
keys: [{id: a, name: europe}, {id: b, limits: {max_calls: 5}}, {id: c}]
agents: {a: {mode: listen}}
"""
    named = parse(text).config.named_keys()
    assert [(name, key.limits.max_calls) for name, key in named.items()] == [
        ("europe", None),
        ("keys[1]", 5),
        ("keys[2]", None),
    ]
    assert lines(
        """\
keys: [{id: a, name: europe}, {id: b, name: europe}, {id: c, name: "keys[1]"}]
agents: {a: {mode: listen}}
"""
    ) == [
        "x.yaml:1:45: OH-CONF-08 keys[1].name: another key has the same name",
        "x.yaml:1:68: OH-CONF-08 keys[2].name: should match pattern '^[0-9A-Za-z_-]{1,40}$'",
    ]


def test_python_tools_say_where_they_are_wrong() -> None:
    text = """\
agents:
  a:
    instructions: x
    tools:
      - {python: {function: "tests.unit.tools.sample:order_status", confrm: true, redact: ["a["]}}
      - python:
          timeout: 0
      - {python: {function: "tests.unit.tools.sample:untyped"}}
      - {python: 5}
      - {python: order_status}
      - {python: {function: order_status}, pythn: 5}
      - {python: {function: "tests.unit.tools.sample:order_status", confirm: true}}
"""
    assert lines(text) == [
        "x.yaml:5:69: OH-CONF-05 agents.a.tools[0].python.confrm: there is no such setting; did you mean confirm?",
        "x.yaml:5:92: OH-CONF-08 agents.a.tools[0].python.redact[0]: a path is written like customers[*].ssn",
        "x.yaml:6:9: OH-CONF-06 agents.a.tools[1].python.function: is missing",
        "x.yaml:7:20: OH-CONF-08 agents.a.tools[1].python.timeout: should be greater than 0",
        "x.yaml:8:9: OH-CONF-10 agents.a.tools[2]: tests.unit.tools.sample:untyped cannot be a tool: "
        "parameter count needs a type hint",
        "x.yaml:9:18: OH-CONF-07 agents.a.tools[3].python: should be text; put it in quotes",
        "x.yaml:10:9: OH-CONF-10 agents.a.tools[4]: a Python tool is written module:attribute, "
        "like shop.tools:order_status",
        "x.yaml:11:44: OH-CONF-05 agents.a.tools[5].pythn: there is no such setting; did you mean python?",
    ]


def test_no_problem_repeats_a_value() -> None:
    secret = "hunter2-\u00e4"
    text = f"""\
agents: {{a: {{instructions: x, voice: [{secret}], reasoning_effort: {secret}}}}}
keys: [{{id: [{secret}], secret: {secret}, organizations: [{secret}], agents: {secret}}}]
realtime: {{providers: [{{name: x, url: {secret}, api_key: [{secret}], headers: {{X: "a{secret}", Y: 5}}}}]}}
public_url: {secret}
tls: {secret}
limits: {{max_calls: {secret}}}
"""
    found = problems(text)
    assert len(found) >= 10
    assert "hunter2" not in "\n".join(str(problem) + repr(problem.as_dict()) for problem in found)


def test_secrets_stay_out_of_repr_and_dump() -> None:
    text = MINIMAL + "realtime: {providers: [{name: o, url: 'wss://x', api_key: sk-1, headers: {X-A: sk-2}}]}"
    config = parse(text).config
    shown = repr(config) + str(config) + str(config.model_dump(mode="json")) + config.model_dump_json()
    for secret in ("sk-1", "sk-2", "c2VjcmV0", "id='k'"):
        assert secret not in shown


def test_several_secrets_of_one_key() -> None:
    text = "agents: {a: {instructions: x}}\nkeys: [{id: k, secret: [c2VjcmV0, b2xk, '']}]"
    assert parse(text).config.keys[0].key() == Key("k", (b"secret", b"old"))


def test_line_feeds_of_files_are_not_part_of_a_key() -> None:
    text = "agents: {a: {instructions: x}}\nkeys: [{id: '${K}', secret: '${S}'}]"
    assert parse(text, K="k\n", S="c2VjcmV0\n").config.keys[0].key() == Key("k", (b"secret",))
    assert [problem.code for problem in problems(text, K="\n", S="c2VjcmV0")] == ["OH-CONF-08"]


def test_a_secret_that_is_left_out_or_empty() -> None:
    for secret in ("null", "''", "[]", "'${NOTHING:-}'"):
        config = parse(f"agents: {{a: {{instructions: x}}}}\nkeys: [{{id: k, secret: {secret}}}]").config
        assert config.keys[0].key() == Key("k")


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("listen=127.0.0.1:9", lambda c: c.listen == HostPort("127.0.0.1", 9)),
        ("listen=[::1]:9", lambda c: str(c.listen) == "[::1]:9"),
        ("listen=:9", lambda c: str(c.listen) == "0.0.0.0:9"),
        ("agents.a.speed=1.2", lambda c: c.agents["a"].speed == 1.2),
        ("agents.a.voice=123", lambda c: c.agents["a"].voice == "123"),
        ("agents.a.bot_turn_response=false", lambda c: c.agents["a"].bot_turn_response is False),
        ("agents.a.noise_reduction=null", lambda c: c.agents["a"].noise_reduction is None),
        ("agents.a.turn_detection.threshold=0.7", lambda c: c.agents["a"].turn_detection.threshold == 0.7),
        ("agents.a.tools=[end_call]", lambda c: c.agents["a"].tools == ("end_call",)),
        ("agents.b={instructions: y, voice: '${VOICE}'}", lambda c: c.agents["b"].voice == "echo"),
        ("agents.a.voice='quoted'", lambda c: c.agents["a"].voice == "quoted"),
        ("agents.a.voice=${VOICE}", lambda c: c.agents["a"].voice == "echo"),
        ("agents.a.instructions=a=b", lambda c: c.agents["a"].instructions == "a=b"),
        ("keys.0.id=other", lambda c: c.keys[0].id.get_secret_value() == "other"),
        ("keys.0={id: other}", lambda c: c.keys[0].secret == ()),
        ("keys.1.id=more", lambda c: len(c.keys) == 2),
        ("base_path=/", lambda c: c.base_path == ""),
    ],
)
def test_set(override: str, read: Any) -> None:
    assert read(parse(MINIMAL, override, VOICE="echo").config)


def test_later_settings_win() -> None:
    assert parse(MINIMAL, "agents.a.voice=echo", "agents.a.voice=ash").config.agents["a"].voice == "ash"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("x", "--set: OH-CONF-12 this is not key.path=value; write --set log.level=debug"),
        ("=x", "--set: OH-CONF-12 this is not key.path=value; write --set log.level=debug"),
        ("a..b=x", "--set: OH-CONF-12 this is not key.path=value; write --set log.level=debug"),
        (
            "keys.5.id=x",
            "--set keys.5.id: OH-CONF-12 keys.5.id: 5 does not lead anywhere; look at the names and numbers",
        ),
        ("keys.x=1", "--set keys.x: OH-CONF-12 keys.x: x does not lead anywhere; look at the names and numbers"),
        ("agents.a.voice.x=1", "--set agents.a.voice.x: OH-CONF-07 agents.a.voice: should be text"),
        (
            "agents.a.instructions.x=1",
            "--set agents.a.instructions.x: OH-CONF-12 agents.a.instructions.x: x does not lead anywhere; "
            "look at the names and numbers",
        ),
        ("lissten=x", "--set lissten: OH-CONF-05 lissten: there is no such setting; did you mean listen?"),
        (
            "agents.a.voice=${NOPE}",
            "--set agents.a.voice: OH-CONF-03 the environment variable NOPE is not set; set it, or write "
            "${NOPE:-default} (${NOPE:-} for nothing)",
        ),
        ("agents.a.voice=${", "--set agents.a.voice: OH-CONF-03 this is no ${NAME}; write $${ for a literal ${"),
    ],
)
def test_set_that_cannot_be(override: str, expected: str) -> None:
    assert expected in lines(MINIMAL, override)


def test_set_of_broken_yaml() -> None:
    (problem, *_) = problems(MINIMAL, "agents.a.tools=[}]")
    assert (problem.code, str(problem.mark)) == ("OH-CONF-02", "--set agents.a.tools")


def test_json_file(tmp_path: Path) -> None:
    file = tmp_path / "offhook.json"
    file.write_text('\ufeff{"agents": {"a": {"instructions": "x"}}}', encoding="utf-8")
    (warning,) = load_config(file, environ={}).warnings
    assert str(warning) == f"{file}:1:1: OH-CONF-55 keys: there are no keys: every call is refused"


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "large").write_text("x" * 100)
    monkeypatch.setattr(reading, "MAX_FILE_BYTES", 50)
    for name, problem in {
        "missing": "the file cannot be read (No such file or directory)",
        "binary": "the file is not UTF-8 text",
        "large": "the file is too large",
    }.items():
        with pytest.raises(ConfigError, match="OH-CONF-01") as caught:
            load_config(tmp_path / name)
        assert problem in str(caught.value)
        assert str(caught.value).startswith(str(tmp_path / name))


def test_environment_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFHOOK_TEST_VOICE", "echo")
    config = parse_config("agents: {a: {instructions: x, voice: '${OFFHOOK_TEST_VOICE}'}}").config
    assert config.agents["a"].voice == "echo"


def test_config_in_python() -> None:
    config = Config.model_validate({"agents": {"a": {"instructions": "x"}}, "listen": HostPort("h", 1)})
    assert config.listen == HostPort("h", 1)


PRICES = """
prices:
  mine: {text_input: 4, text_cached: 0.4, text_output: 24, audio_input: 32, audio_cached: 0.4, audio_output: 64}
  gpt-realtime-2.1: {text_input: 1, text_cached: 1, text_output: 1, audio_input: 1, audio_cached: 1, audio_output: 1}
transcription_prices: {my-ears: {minute: 0.006}, my-other-ears: {input: 3, output: 5}}
"""


def test_prices_are_added_to_the_known_ones() -> None:
    known = parse(MINIMAL).config.price_list()
    assert known == known_prices()
    prices = parse(MINIMAL + PRICES).config.price_list()
    assert prices.price_of("mine") == Prices(
        text_input=4, text_cached=0.4, text_output=24, audio_input=32, audio_cached=0.4, audio_output=64
    )
    own = prices.price_of("gpt-realtime-2.1-2026-07-09")
    assert own is not None
    assert own.audio_output == 1
    assert prices.price_of("gpt-realtime-2") == known.price_of("gpt-realtime-2")
    assert prices.transcription_price_of("my-ears") == TranscriptionPrice(minute=0.006)
    assert prices.transcription_price_of("my-other-ears") == TranscriptionPrice(input=3, output=5)
    assert prices.transcription_price_of("gpt-transcribe") is not None


def test_prices_that_are_none() -> None:
    rest = "audio_input: 1, audio_cached: 1, audio_output: 1, text_output: 1"
    text = f"prices: {{a: {{text_input: -1, text_cashed: 1, {rest}}}}}\n"
    text += "transcription_prices: {b: {minute: free}, '': {}}\n"
    assert lines(MINIMAL + text) == [
        "x.yaml:3:10: OH-CONF-06 prices.a.text_cached: is missing",
        "x.yaml:3:26: OH-CONF-08 prices.a.text_input: should be greater than or equal to 0",
        "x.yaml:3:30: OH-CONF-05 prices.a.text_cashed: there is no such setting; did you mean text_cached?",
        "x.yaml:4:36: OH-CONF-07 transcription_prices.b.minute: should be a valid number, "
        "unable to parse string as a number",
        "x.yaml:4:43: OH-CONF-08 transcription_prices.: should have at least 1 character",
    ]
