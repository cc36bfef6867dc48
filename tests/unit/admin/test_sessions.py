import pytest

from offhook.admin.sessions import MAX_SESSIONS, SESSION_AGE, SESSION_IDLE, Sessions, Tokens, same


@pytest.fixture
def tokens() -> Tokens:
    return Tokens({"first": "one-token", "second": "another-token"})


def test_tokens_are_found_by_their_text_alone(tokens: Tokens) -> None:
    found = tokens.find("another-token")
    assert found is not None
    assert found.name == "second"
    for wrong in ("", "one-toke", "one-token ", "ONE-TOKEN", "first", "\ud800"):
        assert tokens.find(wrong) is None
    assert Tokens({}).find("") is None
    assert "another" not in repr(found) + repr(vars(tokens))


def test_a_session_lasts_while_it_is_used_and_no_longer_than_it_may(tokens: Tokens) -> None:
    token = tokens.find("one-token")
    assert token is not None
    sessions = Sessions()
    idle = sessions.begin(token, 0.0)
    assert sessions.find(idle, SESSION_IDLE - 1) is not None
    assert sessions.find(idle, 2 * SESSION_IDLE - 2) is not None
    assert sessions.find(idle, 3 * SESSION_IDLE) is None
    busy = sessions.begin(token, 0.0)
    at = 0.0
    while at < SESSION_AGE:
        assert sessions.find(busy, at) is not None
        at += SESSION_IDLE / 2
    assert sessions.find(busy, SESSION_AGE) is None
    assert len(sessions) == 0


def test_sessions_are_bounded_and_the_one_that_was_not_used_for_longest_makes_room(tokens: Tokens) -> None:
    token = tokens.find("one-token")
    assert token is not None
    sessions = Sessions()
    ids = [sessions.begin(token, 0.0) for _ in range(MAX_SESSIONS)]
    assert len(set(ids)) == MAX_SESSIONS
    assert sessions.find(ids[0], 1.0) is not None
    sessions.begin(token, 2.0)
    assert len(sessions) == MAX_SESSIONS
    assert sessions.find(ids[0], 3.0) is not None
    assert sessions.find(ids[1], 3.0) is None


def test_sessions_end(tokens: Tokens) -> None:
    first, second = tokens.find("one-token"), tokens.find("another-token")
    assert first is not None
    assert second is not None
    sessions = Sessions()
    one, two, three = sessions.begin(first, 0.0), sessions.begin(first, 0.0), sessions.begin(second, 0.0)
    sessions.end(one)
    sessions.end("no such session")
    assert sessions.find(one, 0.0) is None
    sessions.keep(Tokens({"renamed": "another-token"}).digests)
    assert sessions.find(two, 0.0) is None
    assert sessions.find(three, 0.0) is not None


def test_same() -> None:
    assert same("a", "a")
    assert not same("a", "b")
    assert not same("", "b")
