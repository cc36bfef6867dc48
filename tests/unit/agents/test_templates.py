import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.agents import PlanError
from offhook.agents.templates import MAX_TEXT_BYTES, Template, TemplateFault, compile_template
from offhook.tools import CallContext

CALL = CallContext(
    id="call-1",
    conversation_id="conv-1",
    organization_id="org-1",
    agent="support",
    connector_id="support",
    path=("a", "b"),
    query={"v": "2"},
    ani="+15550100",
    ani_name="Ann",
    dnis="+15550199",
    language="en-us",
    inputs={"COMPANY": "Acme", "items": "three", "get": "this", "Full Name": "Ann B"},
)


def render(source: str, call: CallContext = CALL) -> str:
    return Template(source).render(call)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("Hello.", "Hello."),
        ("{{ input.COMPANY }}", "Acme"),
        ('{{ input.OTHER | default("Acme") }}', "Acme"),
        ('{{ input["Full Name"] }}', "Ann B"),
        ("{{ input.items }} {{ input.get }}", "three this"),
        ("{% if 'COMPANY' in input %}yes{% endif %}", "yes"),
        ("{% if 'OTHER' in input %}yes{% endif %}", ""),
        ("{% if input.OTHER is defined %}yes{% else %}no{% endif %}", "no"),
        ("{% for name in input %}{{ name }},{% endfor %}", "COMPANY,items,get,Full Name,"),
        ("{{ call.id }} {{ call.conversation_id }} {{ call.organization_id }}", "call-1 conv-1 org-1"),
        ("{{ call.ani }} {{ call.ani_name }} {{ call.dnis }} {{ call.language }}", "+15550100 Ann +15550199 en-us"),
        ("{{ call.connector_id }} {{ call.agent }} {{ call.query.v }}", "support support 2"),
        ("{{ call.path | join('/') }}", "a/b"),
        ('{{ call.query.missing | default("none") }}', "none"),
        ("{% set name = input.COMPANY | upper %}{{ name }}", "ACME"),
        ("a < b & c", "a < b & c"),
    ],
)
def test_render(source: str, expected: str) -> None:
    assert render(source) == expected


@given(st.text())
def test_what_is_passed_in_is_data(value: str) -> None:
    value = f"{{{{ call.ani }}}}{{% raw %}}{value}"
    call = CallContext(id="c", inputs={"X": value})
    assert render("<{{ input.X }}>", call) == f"<{value}>"


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("{{ input.COMPANY", 1),
        ("a\n{% if %}", 2),
        ("a\nb\n{% endfor %}", 3),
        ("{{ input.X | no_such_filter }}", 1),
        ("a\n{{ company }}", 2),
        ("{{ range(3) | length }}{{ os }}", 1),
        ("a\n\n{{ call.anni }}", 3),
        ('{{ call["phone"] }}', 1),
        ("{% include 'x' %}{{ y }}", 1),
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", 1),
    ],
)
def test_faults_are_found_at_start(source: str, line: int) -> None:
    with pytest.raises(TemplateFault) as caught:
        Template(source)
    assert caught.value.line == line


def test_fault_proposes_a_name() -> None:
    with pytest.raises(TemplateFault, match=r"did you mean call\.ani\?"):
        Template("{{ call.anni }}")
    with pytest.raises(TemplateFault, match=r"there is no call\.weather$"):
        Template("{{ call.weather }}")


@pytest.mark.parametrize(
    ("source", "code", "info"),
    [
        ("{{ input.OTHER }}", "OH-CALL-04", "the input variable OTHER is missing"),
        ('{{ input["OTHER"] }}', "OH-CALL-04", "the input variable OTHER is missing"),
        ("{{ input.OTHER.x }}", "OH-CALL-04", "the input variable OTHER is missing"),
        ("{{ call.query.w }}", "OH-CALL-05", "the query parameter w is missing"),
        ("{{ input[call.ani] }}", "OH-CALL-05", "a template of the agent uses something that is not there"),
        ("{{ input.COMPANY.x }}", "OH-CALL-05", "a template of the agent uses something that is not there"),
        ("{{ input.COMPANY + 1 }}", "OH-CALL-05", "a template of the agent failed (TypeError)"),
        ("{{ 1 / (call.path | length - 2) }}", "OH-CALL-05", "a template of the agent failed (ZeroDivisionError)"),
        ("{{ input.__class__.__mro__ }}", "OH-CALL-05", "a template of the agent failed (SecurityError)"),
        ("{{ ''.__class__.__mro__ }}", "OH-CALL-05", "a template of the agent failed (SecurityError)"),
        ("{% set x = call.path.append('z') %}", "OH-CALL-05", "something that is not there"),
        ("{% include 'x' %}", "OH-CALL-05", "a template of the agent failed (TypeError)"),
    ],
)
def test_failures(source: str, code: str, info: str) -> None:
    with pytest.raises(PlanError) as caught:
        render(source)
    assert caught.value.code == code
    assert info in caught.value.info
    assert CALL.ani not in str(caught.value)


def test_size_is_bounded_before_everything_is_rendered() -> None:
    assert len(render("{% for i in range(65536) %}x{% endfor %}")) == MAX_TEXT_BYTES
    with pytest.raises(PlanError) as caught:
        render("{% for i in range(99999) %}{% for j in range(99999) %}\u00e4{% endfor %}{% endfor %}")
    assert caught.value.code == "OH-CALL-05"


def test_a_template_is_compiled_once() -> None:
    assert compile_template("{{ call.id }}") is compile_template("{{ call.id }}")
