"""What other bridges between Genesys and speech AIs get wrong, as far as it concerns security and robustness.

Each weakness was seen in a public system, by running it or by reading it. Here is the test that shows that this gateway
does not have it; those that are nowhere else follow the table.
"""

import ast
import asyncio
import re
from functools import lru_cache
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from tests.acceptance.genesys import FRAME, GenesysCall
from tests.acceptance.identity import Identity, sign
from tests.acceptance.realtime import RealtimeFake, realtime_fake
from tests.acceptance.world import SECRET, World, http
from tests.security.attempts import ATTEMPTS
from tests.security.logs import logging_to

ROOT = Path(__file__).parents[2]
ATTEMPTED = "tests/security/test_attempts.py::test_no_attempt_opens_a_session_or_is_told_why"

BUGS: dict[str, tuple[str, ...]] = {
    # Who is let in.
    "an unsigned request counts as verified, whatever its API key": (f"{ATTEMPTED}[unsigned]",),
    "an unknown key has an empty secret, so that anybody can sign": (
        f"{ATTEMPTED}[an unknown key, an empty secret]",
        "tests/unit/httpsig/test_verify.py::test_an_unknown_key_is_refused_even_with_the_dummy_or_an_empty_secret",
    ),
    "a URL with /test in it needs no authentication": (
        f"{ATTEMPTED}[unsigned, /test in the path]",
        f"{ATTEMPTED}[unsigned, /test in the query]",
    ),
    "requests without the headers of AudioHook skip the signature": (
        f"{ATTEMPTED}[a plain WebSocket client]",
        f"{ATTEMPTED}[a key, and nothing else of Genesys]",
    ),
    "the API key is accepted in the query": (f"{ATTEMPTED}[the key in the query]",),
    "the API key is loaded and never compared": (
        f"{ATTEMPTED}[unsigned, of a key that nobody has]",
        "tests/security/test_known_bugs.py::test_a_gateway_without_keys_lets_nobody_in",
    ),
    "keys are compared in a time that depends on them": (
        "tests/security/test_work.py::test_every_key_is_compared_with_however_much_of_it_is_right",
        "tests/security/test_work.py::test_an_unknown_key_costs_what_a_wrong_signature_costs",
    ),
    "the client secret is used as text": (
        f"{ATTEMPTED}[the secret as text]",
        "tests/unit/httpsig/test_keys.py::test_secret_is_the_decoded_bytes",
    ),
    "a recorded request can be sent again": (
        f"{ATTEMPTED}[replayed]",
        "tests/acceptance/test_signatures.py::test_of_two_equal_requests_at_a_time_one_is_accepted",
    ),
    "clock skew makes the window shorter instead of longer": (
        "tests/unit/httpsig/test_verify.py::test_age_within_window",
        "tests/unit/httpsig/test_verify.py::test_no_replay_gets_through_in_the_whole_window",
    ),
    # Who can break it.
    "a signature of the wrong length ends the process, and all calls with it": (
        f"{ATTEMPTED}[a signature cut short]",
        f"{ATTEMPTED}[a signature of no bytes]",
        "tests/unit/httpsig/test_verify.py::test_a_signature_of_another_length_is_just_wrong",
        "tests/security/test_flood.py::test_good_calls_go_on_while_hostile_ones_come_in",
    ),
    "an error of the AI's socket ends the process": (
        "tests/acceptance/test_tools_and_ends.py::test_losing_the_ai_is_survived",
        "tests/acceptance/test_bounds.py::test_an_ai_that_cannot_be_reached_ends_the_call_cleanly",
    ),
    "a lost AI is dead air until the caller hangs up": (
        "tests/integration/test_gateway_calls.py::test_a_realtime_leg_that_breaks",
    ),
    "any error event of the AI ends the call, or the reading of events": (
        "tests/acceptance/test_odd_ais.py::test_an_odd_event_is_survived_or_ends_the_call_cleanly",
        "tests/acceptance/test_interruption.py::test_errors_about_truncation_are_harmless",
    ),
    "a field of open that is missing ends the connection": (
        "tests/acceptance/test_keypad_and_hold.py::test_open_may_be_poor",
        "tests/acceptance/test_bad_peers.py::test_an_odd_beginning_is_taken_or_refused",
    ),
    "after a wrong sequence number everything goes on": (
        "tests/unit/audiohook/test_server.py::test_a_wrong_sequence_number_ends_the_session",
        "tests/unit/audiohook/test_server.py::test_after_a_violation_only_close_and_ping_are_read",
        "tests/unit/audiohook/test_server.py::test_a_client_that_never_closes_is_dropped",
    ),
    "close with another reason than end is not answered": (
        "tests/acceptance/test_bad_peers.py::test_close_with_any_reason_is_answered",
    ),
    "an error in the handling of errors leaves the model waiting for a tool": (
        "tests/acceptance/test_tools_and_ends.py::test_a_failing_tool_is_told_to_the_model",
        "tests/unit/tools/test_runner.py::test_what_goes_wrong_is_told_to_the_model",
    ),
    "what the flow or the caller says becomes instructions or templates": (
        "tests/acceptance/test_talking.py::test_template_variables_are_data_and_never_template_source",
    ),
    "an output variable that is no string breaks disconnect": (
        "tests/acceptance/test_odd_ais.py::test_odd_outputs_stay_strings_and_never_replace_those_of_offhook",
    ),
    # Who waits for whom.
    "a slow AI, tool or summary starves pings and close": (
        "tests/acceptance/test_bounds.py::test_opened_pong_and_closed_are_in_time_whatever_the_ai_does",
        "tests/acceptance/test_bounds.py::test_closed_is_in_time_in_every_state_and_frees_the_ai",
        "tests/acceptance/test_tools_and_ends.py::test_a_tool_that_blocks_delays_nothing",
    ),
    "one 429 ends the audio of a call for ever": ("tests/acceptance/test_bounds.py::test_a_429_slows_audio_only",),
    "the pong falls victim to the rate limit, and then the call to the missing pong": (
        "tests/unit/audiohook/test_pacing.py::test_a_budget_keeps_its_reserve_for_what_cannot_wait",
    ),
    "a flood of connections or messages delays the calls of others": (
        "tests/security/test_flood.py::test_good_calls_go_on_while_hostile_ones_come_in",
        "tests/security/test_fairness.py::test_a_flood_of_messages_leaves_every_round_to_others",
        "tests/security/test_fairness.py::test_requests_that_come_at_once_are_decided_about_in_turns",
    ),
    "there is no limit to the number of calls": (
        "tests/acceptance/test_listener_port.py::test_calls_beyond_the_limit_are_refused_in_the_protocol_and_readiness_says_so",
    ),
    "a new version cuts running calls off": (
        "tests/acceptance/test_listener_port.py::test_a_draining_process_carries_its_calls_to_the_end",
    ),
    "the AI session survives the call, and is paid for": (
        "tests/acceptance/test_tools_and_ends.py::test_a_lost_socket_frees_the_ai",
        "tests/acceptance/test_bounds.py::test_a_connection_to_the_ai_that_was_never_answered_is_dropped",
    ),
    "a write is repeated after a timeout": (
        "tests/integration/test_booked_once.py::test_what_may_have_been_booked_is_not_booked_again",
    ),
    # Who hears and reads what.
    "callers hear the agents of others": (
        "tests/acceptance/test_talking.py::test_ten_calls_at_a_time_hear_only_their_own",
        "tests/acceptance/test_bad_peers.py::test_a_repeated_session_id_does_not_mix_two_calls",
    ),
    "all headers are logged, X-API-KEY and signature included": (
        ATTEMPTED,
        "tests/unit/telemetry/test_logging.py::test_denied_fields_are_withheld",
    ),
    "keys, prompts, arguments and what callers say are logged": (
        "tests/security/test_secrets.py::test_nothing_that_a_gateway_writes_holds_a_secret",
        "tests/acceptance/test_commands.py::test_nothing_private_is_in_the_log_of_a_whole_call",
        "tests/unit/tools/test_runner.py::test_logs_do_not_have_them",
    ),
    "redaction ends at lists": (
        "tests/unit/tools/test_redaction.py::test_lists_are_walked_whether_the_path_says_so_or_not",
    ),
    "every message or chunk of audio is a log line": (
        "tests/security/test_known_bugs.py::test_a_call_logs_no_more_for_more_audio",
    ),
    "logs grow without bound": (
        "tests/unit/telemetry/test_repeats.py::test_so_many_lines_of_a_kind_pass_and_the_rest_is_counted",
        "tests/security/test_flood.py::test_good_calls_go_on_while_hostile_ones_come_in",
    ),
    "transcripts can be fetched by the conversation's ID; health tells all conversations": (
        "tests/security/test_known_bugs.py::test_nothing_of_a_call_can_be_fetched_at_the_call_port",
    ),
    "credentials are committed": ("tests/security/test_known_bugs.py::test_no_credential_is_in_the_repository",),
}


@lru_cache
def _tests_of(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("bug", BUGS)
def test_every_known_bug_has_a_test(bug: str) -> None:
    assert BUGS[bug]
    for place in BUGS[bug]:
        path, _, rest = place.partition("::")
        name, _, case = rest.partition("[")
        assert name in _tests_of(path), place
        if case:
            assert case.removesuffix("]") in ATTEMPTS, place


async def test_a_gateway_without_keys_lets_nobody_in(world: World) -> None:
    async with realtime_fake() as ai, world.gateway(ai.url, keys=[]) as gateway:
        identity = Identity()
        attempts = [
            {},
            identity.headers(None),
            identity.headers(""),
            identity.headers("key"),
            sign(gateway.url, identity.headers("key"), SECRET),
            sign(gateway.url, identity.headers(""), ""),
        ]

        async def refused(headers: dict[str, str]) -> int:
            with pytest.raises(InvalidStatus) as caught:
                async with GenesysCall(gateway.url, headers=headers):
                    pass
            return caught.value.response.status_code

        assert await asyncio.gather(*map(refused, attempts)) == [401] * len(attempts)
        assert ai.upgrades == 0


async def test_nothing_of_a_call_can_be_fetched_at_the_call_port(world: World) -> None:
    async with realtime_fake() as ai, world.gateway(ai.url) as gateway, GenesysCall(gateway.url) as call:
        await call.open()
        await ai.ready()
        who = call.identity
        paths = [
            *("/", "/metrics", "/healthz", "/readyz", "/phone", "/docs", "/openapi.json", "/favicon.ico"),
            *("/api/v1/calls", "/api/v1/openapi.json", "/calls", "/health/conversations", "/debug", "/.env"),
            *(f"/{folder}{who.conversation}" for folder in ("", "transcripts/", "audiohook/", "conversations/")),
            *(f"/{folder}{who.session}" for folder in ("", "audiohook/", "api/v1/calls/")),
        ]
        for path in paths:
            request = f"GET {path} HTTP/1.1\r\nHost: x\r\nX-API-KEY: key\r\nConnection: close\r\n\r\n".encode()
            answer = await http(gateway.url, request)
            status = int(answer.split(b" ", 2)[1])
            assert status == 200 if path in ("/healthz", "/readyz") else status in (404, 426), path
            assert len(answer) < 400, path
            for secret in (who.conversation, who.session, who.organization, "support", "13175550123"):
                assert secret.encode() not in answer, path
        await call.close()


async def _lines_of_a_call(world: World, ai: RealtimeFake, frames: int) -> list[str]:
    """Carry a call with so many frames of the caller, pings, and pieces of one answer; return the events logged."""
    with logging_to() as log:
        async with world.gateway(ai.url) as gateway, GenesysCall(gateway.url) as call:
            await call.open()
            leg = await ai.ready()
            for number in range(frames):
                call.send_audio(bytes(FRAME))
                if number % 10 == 0:
                    await call.ping()
            answer = await leg.respond()
            speech = await answer.speech()
            await speech.audio(bytes(4000), delta=4000 // frames)
            await speech.end()
            await answer.end()
            await call.expect_audio(4000, within=3)
            await call.expect_silence(within=3)
            await call.close()
        return [line["event"] for line in log.lines()]


async def test_a_call_logs_no_more_for_more_audio(world: World) -> None:
    async with realtime_fake() as ai:
        few, many = await _lines_of_a_call(world, ai, 2), await _lines_of_a_call(world, ai, 40)
    assert len(few) < 25
    assert sorted(many) == sorted(few)


CREDENTIAL = re.compile(
    r"\b(sk-(?:proj-)?[A-Za-z0-9_-]{20,}|AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|AIza[0-9A-Za-z_-]{35})\b"
)


def test_no_credential_is_in_the_repository() -> None:
    folders = ("src", "tests", "docs", "examples", "scripts", "changelog.d")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in TEXTS]
    assert len(files) > 200
    found = [f"{path}: {match}" for path in files for match in CREDENTIAL.findall(path.read_text("utf-8"))]
    assert found == []
    assert CREDENTIAL.search(f"key: sk-{'a1' * 12}")


TEXTS = {".py", ".md", ".yaml", ".yml", ".toml", ".json", ".txt"}
