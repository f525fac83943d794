"""The command that runs suites."""

from __future__ import annotations

from pathlib import Path

import click

from onward.surfaces.answers import ReaderGone
from onward.surfaces.options import EXISTING


@click.command("eval")
@click.argument("suite", type=EXISTING)
@click.option("--app", metavar="APP", help="Have this application run them.")
@click.option("--model", metavar="NAME", help="Have runs ask this model: gemini-... or scripted:FILE.")
@click.option("--instructions", type=EXISTING, metavar="FILE", help="Have runs told this.")
@click.option("--repeats", type=click.IntRange(1, 100), metavar="N", help="Run each session so often.")
@click.option("--parallel", type=click.IntRange(1, 64), metavar="N", help="So many runs at once.")
@click.option("--case", "only", default="*", metavar="GLOB", help="Only the cases of such names.")
@click.option(
    "--db", type=click.Path(path_type=Path), metavar="FILE", help="Where runs are kept.  [default: SUITE.eval.db]"
)
@click.option("--baseline", type=click.Path(path_type=Path), metavar="FILE", help="Compare with these results.")
@click.option("--save-baseline", is_flag=True, help="Make these results the baseline.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for programs.")
def evaluate(  # noqa: PLR0913 - each is an option
    suite: Path,
    app: str | None,
    model: str | None,
    instructions: Path | None,
    repeats: int | None,
    parallel: int | None,
    only: str,
    db: Path | None,
    baseline: Path | None,
    save_baseline: bool,
    as_json: bool,
) -> int:
    """Run recorded sessions again with a change, and score what they do.

    SUITE is a TOML file. Its runs are branches of exported sessions in a file of their own: their calls are answered
    from the record and reach nothing. What was run there before is not run again, so that a suite that was stopped goes
    on where it was. Options go before what the suite says.

    Exit codes: 0 every case passed, or none is worse than the baseline; 1 not.
    """
    import asyncio

    from onward.config import Settings
    from onward.surfaces import evaluating
    from onward.surfaces.output import Output, log_to_stderr

    log_to_stderr(False, told=frozenset({"step_failed"}))
    asked = evaluating.Asked(app, model, instructions, repeats, parallel, only, db, baseline, save_baseline)
    try:
        return asyncio.run(evaluating.evaluate(suite, asked, Output.open(as_json, Settings.from_env())))
    except BrokenPipeError as exc:
        raise ReaderGone from exc
