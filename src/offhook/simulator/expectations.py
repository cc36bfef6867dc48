"""Holds a finished call against what its scenario expects."""

import re
from collections.abc import Iterator

from offhook.simulator.report import CallReport
from offhook.simulator.script import Expectations, as_pattern


def missed(expect: Expectations, report: CallReport) -> list[str]:
    """Return one clear line for each expectation that the call did not meet."""
    return [
        *_ending(expect, report),
        *_variables(expect, report),
        *_audio(expect, report),
        *_barge_ins(expect, report),
    ]


def _ending(expect: Expectations, report: CallReport) -> Iterator[str]:
    if expect.ended_by is not None and report.ended_by != expect.ended_by:
        yield f"expected the {expect.ended_by} to end the call, it was the {report.ended_by}"
    if expect.reason is not None and report.reason != expect.reason:
        yield f"expected disconnect reason {expect.reason}, got {report.reason or 'no disconnect'}"
    if expect.max_seconds is not None and report.duration > expect.max_seconds:
        yield f"expected the call to end within {expect.max_seconds:g} s, it took {report.duration:.1f} s"
    if expect.no_protocol_errors and report.protocol_errors:
        count = len(report.protocol_errors)
        yield f"expected no protocol errors, there {'was 1' if count == 1 else f'were {count}'}"


def _variables(expect: Expectations, report: CallReport) -> Iterator[str]:
    for name, wanted in expect.output_variables.items():
        value = report.output_variables.get(name)
        if value is None:
            known = ", ".join(sorted(report.output_variables)) or "none"
            yield f"expected output variable {name}, it was not returned (returned: {known})"
        elif (pattern := as_pattern(wanted)) is not None:
            if re.search(pattern, value) is None:
                yield f"expected output variable {name} to match {wanted}, got {value!r}"
        elif value != wanted:
            yield f"expected output variable {name} to be {wanted!r}, got {value!r}"


def _audio(expect: Expectations, report: CallReport) -> Iterator[str]:
    heard = report.playback.heard_seconds
    if expect.heard_seconds.min is not None and heard < expect.heard_seconds.min:
        yield f"expected at least {expect.heard_seconds.min:g} s of agent audio, {heard:.2f} s were heard"
    if expect.heard_seconds.max is not None and heard > expect.heard_seconds.max:
        yield f"expected at most {expect.heard_seconds.max:g} s of agent audio, {heard:.2f} s were heard"
    limit, first = expect.max_first_audio_ms, report.latency.first_audio_ms
    if limit is not None and (first is None or first > limit):
        what = "nothing was heard" if first is None else f"it came after {first:.0f} ms"
        yield f"expected the agent to be heard within {limit:g} ms of opened, {what}"
    if expect.max_response_ms is not None:
        for turn in report.turns:
            if turn.response_ms is not None and turn.response_ms > expect.max_response_ms:
                yield (
                    f"expected an answer within {expect.max_response_ms:g} ms, "
                    f"the one to “{turn.text}” took {turn.response_ms:.0f} ms"
                )
    if expect.max_cut_off_ms is not None and report.playback.cut_off_ms > expect.max_cut_off_ms:
        yield (
            f"expected at most {expect.max_cut_off_ms:g} ms of agent audio cut off by the end of the call, "
            f"it was {report.playback.cut_off_ms:.0f} ms"
        )


def _barge_ins(expect: Expectations, report: CallReport) -> Iterator[str]:
    count = expect.barge_in.count
    if count is not None and report.playback.barge_ins != count:
        yield f"expected {count} barge-in events, got {report.playback.barge_ins}"
    limit = expect.barge_in.max_stop_ms
    if limit is not None:
        for figures in report.barge_ins:
            if figures.stop_ms is None:
                yield f"expected a barge-in within {limit:g} ms of the caller at {figures.at:.2f} s, none came"
            elif figures.stop_ms > limit:
                yield f"expected the agent to stop within {limit:g} ms, it took {figures.stop_ms:.0f} ms"
