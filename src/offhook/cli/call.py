"""`offhook call`: plays Genesys against any AudioHook server."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from offhook.simulator.report import CallReport
    from offhook.simulator.script import Scenario
    from offhook.simulator.simulated_call import SimulatedCall
    from offhook.simulator.upgrade import Target


def _variables(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    variables = {}
    for value in values:
        name, equals, content = value.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{value!r} is not NAME=VALUE")
        variables[name] = content
    return variables


def _digits(ctx: click.Context, param: click.Parameter, value: str) -> str:
    wrong = sorted(set(value) - set("0123456789*#ABCD"))
    if wrong:
        raise click.BadParameter(f"{', '.join(wrong)}: a telephone has the keys 0-9, *, # and A-D")
    return value


@click.command()
@click.argument("url")
@click.option("--key", default="", envvar="OFFHOOK_CALL_KEY", help="API key, sent as X-API-KEY.")
@click.option(
    "--secret", envvar="OFFHOOK_CALL_SECRET", metavar="BASE64", help="Client secret; without it nothing is signed."
)
@click.option(
    "--signature-order",
    type=click.Choice(["genesys", "documented"]),
    default="genesys",
    show_default=True,
    help="Order of the signed components: as real Genesys sends them, or as in its documentation.",
)
@click.option("--organization", metavar="UUID", help="Organization ID; a fresh one if left out.")
@click.option("--connector-id", metavar="ID", help="Put behind the URL, with one slash between.")
@click.option("--scenario", type=click.Path(path_type=Path), metavar="FILE", help="What the caller does (YAML).")
@click.option("--wav", type=click.Path(path_type=Path), metavar="FILE", help="Say this after the greeting.")
@click.option("--input", "inputs", multiple=True, callback=_variables, metavar="NAME=VALUE", help="Input variable.")
@click.option("--dtmf", default="", callback=_digits, metavar="DIGITS", help="Keys to press.")
@click.option("--probe", is_flag=True, help="Only what Genesys does when the integration is activated.")
@click.option("--record", type=click.Path(path_type=Path), metavar="FILE.wav", help="Caller left, agent right.")
@click.option("--max-seconds", type=click.FloatRange(1, 86_400), default=300.0, show_default=True)
@click.option("--insecure", is_flag=True, help="Do not check the server's certificate.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON document and nothing else.")
def call(
    url: str,
    key: str,
    secret: str | None,
    signature_order: str,
    organization: str | None,
    connector_id: str | None,
    scenario: Path | None,
    wav: Path | None,
    inputs: dict[str, str],
    dtmf: str,
    probe: bool,
    record: Path | None,
    max_seconds: float,
    insecure: bool,
    as_json: bool,
) -> None:
    """Call the AudioHook server at URL (wss://…) the way Genesys does.

    Without a scenario and a recording the caller listens to the greeting, asks for the opening hours, listens to the
    answer and hangs up. Exit status: 0 fine, 1 the call failed or missed an expectation, 2 wrong usage.
    """
    script = _script(scenario, wav, inputs, dtmf, probe=probe)
    target = _target(url, connector_id or script.connector_id, key, secret, signature_order)
    if record is not None and not record.absolute().parent.is_dir():
        raise click.BadParameter(f"{record.parent} is no directory", param_hint="--record")
    raise SystemExit(
        _run(script, target, _uuid(organization), record, max_seconds, probe=probe, insecure=insecure, as_json=as_json)
    )


def _uuid(organization: str | None) -> str | None:
    import uuid

    if organization is None:
        return None
    try:
        return str(uuid.UUID(organization))
    except ValueError:
        raise click.BadParameter(f"{organization!r} is no UUID", param_hint="--organization") from None


def _script(scenario: Path | None, wav: Path | None, inputs: dict[str, str], dtmf: str, *, probe: bool) -> "Scenario":
    import msgspec

    from offhook.audio.wav import read_wav
    from offhook.simulator.script import Utterance, probe_scenario, simple_scenario

    options = {"--scenario": scenario, "--wav": wav, "--dtmf": dtmf, "--input": inputs}
    given = [name for name, value in options.items() if value]
    if probe:
        if given:
            raise click.UsageError(f"a probe says nothing: leave out {', '.join(given)}")
        return probe_scenario()
    if scenario is not None:
        if wav is not None or dtmf:
            raise click.UsageError("--scenario says what the caller does: leave out --wav and --dtmf")
        from offhook.simulator.scenario import ScenarioError, load_scenario

        try:
            script = load_scenario(scenario)
        except ScenarioError as error:
            click.echo(str(error), err=True)
            raise SystemExit(2) from None
        return msgspec.structs.replace(script, inputs={**script.inputs, **inputs})
    utterance = None
    if wav is not None:
        try:
            utterance = Utterance(f"({wav.name})", read_wav(wav.read_bytes()))
        except OSError as error:
            raise click.BadParameter(f"{wav}: {error.strerror or error}", param_hint="--wav") from None
        except ValueError as error:
            raise click.BadParameter(f"{wav}: {error}", param_hint="--wav") from None
    return simple_scenario(utterance=utterance, digits=dtmf, inputs=inputs)


def _target(url: str, connector_id: str | None, key: str, secret: str | None, order: str) -> "Target":
    from offhook.simulator.upgrade import UnusableTarget, target

    try:
        return target(
            url,
            connector_id=connector_id,
            key=key,
            secret=secret,
            order="documented" if order == "documented" else "genesys",
        )
    except UnusableTarget as error:
        raise click.UsageError(str(error)) from None


def _run(
    script: "Scenario",
    target: "Target",
    organization: str | None,
    record: Path | None,
    max_seconds: float,
    *,
    probe: bool,
    insecure: bool,
    as_json: bool,
) -> int:
    import json
    import time

    from rich.console import Console

    from offhook.simulator.dialer import DialFailed, dial_until_signal
    from offhook.simulator.identity import CallIdentity
    from offhook.simulator.live import LivePrinter, print_report
    from offhook.simulator.script import texts
    from offhook.simulator.simulated_call import SimulatedCall
    from offhook.speech import Speech

    speech = Speech()
    speech.prepare(texts(script), "caller")
    identity = CallIdentity.fresh(organization_id=organization, probe=probe)
    simulated = SimulatedCall(script, speech, identity=identity, probe=probe, max_seconds=max_seconds)
    console = Console(stderr=as_json)
    try:
        report = dial_until_signal(target, simulated, on_event=LivePrinter(console), insecure=insecure)
    except DialFailed as failed:
        if as_json:
            click.echo(json.dumps({"ok": False, "url": str(target.url), "failures": [str(failed)]}))
        click.echo(f"Error: {failed}", err=True)
        return 1
    if record is not None:
        report = _record(simulated, report, record, time.monotonic())
    if as_json:
        click.echo(report.to_json())
    else:
        print_report(console, report)
    return 0 if report.ok else 1


def _record(simulated: "SimulatedCall", report: "CallReport", file: Path, now: float) -> "CallReport":
    import msgspec

    try:
        file.write_bytes(simulated.recording(now))
    except OSError as error:
        failure = f"the recording could not be written: {error}"
        return msgspec.structs.replace(report, ok=False, failures=(*report.failures, failure))
    return msgspec.structs.replace(report, recording=str(file))
