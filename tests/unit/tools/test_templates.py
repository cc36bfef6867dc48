import tracemalloc
from typing import Any

import pytest

from offhook.tools import CallContext
from offhook.tools.templates import MAX_TEXT_BYTES, RenderFailed, Template, TemplateFault, ValueMissing
from offhook.tools.values import as_text

CALL = CallContext(id="call-1", ani="+15550100", query={"v": "2"}, inputs={"owner": "Ann"})


def render(source: str, **arguments: Any) -> str:
    return Template(source, arguments=True, finalize=as_text).render(CALL, arguments)


@pytest.mark.parametrize(
    ("source", "arguments", "text"),
    [
        ("{{ args.a }}/{{ input.owner }}/{{ call.query.v }}", {"a": "x"}, "x/Ann/2"),
        ("{{ args.items }} {{ args['get'] }} {{ args.owner }}", {"items": 1, "get": 2, "owner": 3}, "1 2 3"),
        (
            "{{ args.a }} {{ args.b }} {{ args.c }} {{ args.d }}",
            {"a": True, "b": None, "c": 1.5, "d": [1]},
            "true  1.5 [1]",
        ),
        ("{{ args.a.b }}", {"a": {"b": "x"}}, "x"),
        ("{{ args.a | default('none') }}", {}, "none"),
        ("{% if args.a is defined %}yes{% else %}no{% endif %}", {}, "no"),
        ("{{ args.a }}", {"a": "{{ call.ani }}{% raw %}"}, "{{ call.ani }}{% raw %}"),
    ],
)
def test_render(source: str, arguments: dict[str, Any], text: str) -> None:
    assert render(source, **arguments) == text


@pytest.mark.parametrize(
    ("source", "owner", "name"),
    [
        ("{{ args.a }}", "args", "a"),
        ("{{ input.a }}", "input", "a"),
        ("{{ call.query.a }}", "query", "a"),
        ("{{ args[call.ani] }}", "args", ""),
        ("{{ args.b.c }}", "", ""),
        ("{{ args.b.c.d }}", "", ""),
    ],
)
def test_what_is_missing(source: str, owner: str, name: str) -> None:
    with pytest.raises(ValueMissing) as caught:
        render(source, b={})
    assert (caught.value.owner, caught.value.name) == (owner, name)
    assert CALL.ani not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{{ args.a + 1 }}", "failed (TypeError)"),
        ("{{ args }}", "failed (TypeError)"),
        ("{{ ''.__class__ }}", "failed (SecurityError)"),
        ("{{ args.a * 70000 }}", f"gives more than {MAX_TEXT_BYTES} bytes"),
    ],
)
def test_failures(source: str, reason: str) -> None:
    with pytest.raises(RenderFailed) as caught:
        render(source, a="secret")
    assert caught.value.reason == reason


WAYS_OUT = [
    "{{ ''.__class__.__mro__ }}",
    "{{ args.text['__class__'] }}",
    "{{ args.text | attr('__class__') }}",
    "{{ args.list | map(attribute='__class__') | list }}",
    "{{ args.text.format(args) }}",
    "{{ args.text.format_map(args) }}",
    "{{ self.__init__.__globals__ }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ namespace.__init__ }}",
    "{{ input._Names__values }}",
    "{{ call.query.__class__ }}",
    "{% import 'os' as os %}",
    "{% include '/etc/passwd' %}",
    "{{ args.list.append(1) }}",
    "{{ args.object.clear() }}",
    "{{ args.object.update(a=1) }}",
    "{% macro loop() %}{{ loop() }}{% endmacro %}{{ loop() }}",
]
# With 300 MB each, or seconds, if they were let.
BOMBS = [
    "{{ range(args.number) | length }}",
    "{{ args.text * args.number }}",
    "{{ args.number * args.text }}",
    "{{ args.list * args.number }}",
    "{{ 10 ** args.number }}",
    "{{ (10 ** 9000) * (10 ** 9000) * (10 ** 9000) }}",
    "{{ args.text | center(args.number) }}",
    "{{ args.text | center(width=args.number) }}",
    "{{ args.text | indent(args.number) }}",
    "{{ args.list | batch(args.number, 'x') | list }}",
    "{{ args.list | slice(args.number) | list }}",
    "{{ args.text.ljust(args.number) }}",
    "{{ args.text.zfill(args.number) }}",
    "{{ args.one.to_bytes(args.number, 'big') }}",
    "{{ '%*d' % (args.number, 1) }}",
    "{{ ('%' ~ args.number ~ 'd') % 1 }}",
    "{{ '%*d' | format(args.number, 1) }}",
    "{{ '{:>{}}'.format(1, args.number) }}",
    "{{ ('{:' ~ args.number ~ '}').format(1) }}",
    "{{ ('{a:' ~ args.number ~ '}').format_map({'a': 1}) }}",
]


@pytest.mark.parametrize("source", WAYS_OUT)
def test_there_is_no_way_out(source: str) -> None:
    given = {"text": "{0.__class__}{a.__class__}", "list": [1], "object": {"a": 1}}
    with pytest.raises(RenderFailed):
        render(source, **given)
    assert given == {"text": "{0.__class__}{a.__class__}", "list": [1], "object": {"a": 1}}


@pytest.mark.parametrize("source", BOMBS)
def test_a_number_makes_no_huge_text(source: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(RenderFailed):
            render(source, text="text\n", list=[1], number=300_000_000, one=1)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 4_000_000


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ args.n * 3 }} {{ args.n ** 2 }} {{ args.n % 1000 }} {{ args.n * 0.5 }}", "300000 10000000000 0 50000.0"),
        ("{{ '-' * 3 }} {{ 2 * 'ab' }} {{ ([1] * 2) | length }}", "--- abab 2"),
        ("{{ '%05d %s' % (7, 'x') }} {{ '%.2f' | format(args.n) }}", "00007 x 100000.00"),
        ("{{ '{:>4}|{}'.format(1, args.n) }}", "   1|100000"),
        ("{{ args.n | center(10) }}|{{ 'a' | indent(2, true) }}|{{ 'x'.ljust(3) }}|", "  100000  |  a|x  |"),
        ("{{ [1, 2, 3] | batch(2) | list }} {{ [1, 2, 3] | slice(2) | list }}", "[[1, 2], [3]] [[1, 2], [3]]"),
    ],
)
def test_what_templates_are_for(source: str, text: str) -> None:
    assert render(source, n=100_000) == text


@pytest.mark.parametrize(
    ("source", "line", "text"),
    [
        ("a\n{{ args.x", 2, "unexpected end of template"),
        ("a\n{{ arg.x }}", 2, "there is no variable arg; known are args.NAME, input.NAME and call.NAME"),
        ("{{ call.anni }}", 1, "did you mean call.ani?"),
    ],
)
def test_faults_are_found_at_start(source: str, line: int, text: str) -> None:
    with pytest.raises(TemplateFault) as caught:
        Template(source, arguments=True)
    assert caught.value.line == line
    assert text in caught.value.text


def test_arguments_are_there_only_for_tools() -> None:
    with pytest.raises(TemplateFault, match="there is no variable args"):
        Template("{{ args.x }}")


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("{{ args.a }}", ("a",)),
        ("{{args['a'].b[0]}}", ("a", "b", 0)),
        ("{{ args }}", ()),
        (" {{ args.a }}", None),
        ("{{ args.a }}{{ args.b }}", None),
        ("{{ args.a | upper }}", None),
        ("{{ args[call.id] }}", None),
        ("{{ input.a }}", None),
        ("{% if args.a %}{% endif %}", None),
        ("text", None),
        ("", None),
    ],
)
def test_a_template_that_is_one_argument(source: str, path: tuple[str | int, ...] | None) -> None:
    assert Template(source, arguments=True).argument == path


def test_the_arguments_that_a_template_names() -> None:
    template = Template("{{ args.b }}\n{{ args['a'] }}{% if args.b %}{% endif %}{{ input.c }}", arguments=True)
    assert template.arguments == [("a", 2), ("b", 1), ("b", 2)]
    assert template.literal == "\n"
