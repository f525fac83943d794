"""The command that says what things cost."""

from __future__ import annotations

from pathlib import Path

import click

from onward.surfaces.options import EXISTING, Surroundings, surrounded

LOCATIONS = ("us-central1", "nam5")


@click.command()
@click.argument("id", required=False)
@click.option(
    "--location", type=click.Choice(LOCATIONS), default=LOCATIONS[0], show_default=True, help="The database's."
)
@click.option("--prices", type=EXISTING, metavar="FILE", help="Prices of models, as JSON, instead of ours.")
@surrounded
def cost(here: Surroundings, id: str | None, location: str, prices: Path | None) -> None:
    """Say what steps, or a session, cost on Google Cloud.

    Without ID: the operations of each kind of step, and what a million of it costs by dated list prices. With ID: one
    session, counted from its log, with the tokens of its models; wherever it ran. Compute is left out.
    """
    from onward.surfaces import costing

    table = costing.token_prices(prices)
    if id is None:
        costing.kinds(costing.checked(location), table, here.output)
    else:
        here.use(lambda runtime: costing.session(runtime, id, costing.checked(location), table, here.output))
