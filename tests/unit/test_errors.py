"""Every code that the source can show is explained, and what is explained exists."""

import re
from pathlib import Path

import offhook.audiohook.errors
import offhook.realtime.errors
from offhook.errors import catalogue, explain
from offhook.gateway.link import CONNECT_ERRORS
from offhook.httpsig import RefusalReason

SOURCE = Path(__file__).parents[2] / "src"
CODE = re.compile(r"OH-[A-Z]+-\d+")


def codes_in_source() -> set[str]:
    found: set[str] = set()
    for path in SOURCE.rglob("*.py"):
        found.update(CODE.findall(path.read_text(encoding="utf-8")))
    return found


def test_every_code_of_the_source_is_in_the_catalogue_and_no_other() -> None:
    assert codes_in_source() == set(catalogue())


def test_the_tables_of_the_parts_are_complete() -> None:
    for table in (offhook.audiohook.errors.CODES, offhook.realtime.errors.CODES, CONNECT_ERRORS):
        assert set(table) <= set(catalogue())
    assert {reason.code for reason in RefusalReason} <= set(catalogue())


def test_rules_and_texts_of_the_cores_are_repeated_word_for_word() -> None:
    for code, rule in offhook.audiohook.errors.CODES.items():
        assert rule.text in catalogue()[code].why
    for code, text in offhook.realtime.errors.CODES.items():
        assert catalogue()[code].title == f"{text[0].upper()}{text[1:]}."
    for code, text in CONNECT_ERRORS.items():
        assert catalogue()[code].title == text


def test_entries_are_sentences() -> None:
    for code, entry in catalogue().items():
        assert CODE.fullmatch(code)
        assert entry.code == code
        for text in (entry.title, entry.why, entry.fix):
            assert text.endswith("."), code
            assert "\n" not in text
        assert len(entry.title) <= 100


def test_explain() -> None:
    entry = explain("OH-AUTH-11")
    assert entry is not None
    assert entry.title == "The signature does not match."
    assert explain("OH-AUTH-99") is None
