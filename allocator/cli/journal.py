"""`allocator journal` and what it can show."""

from pathlib import Path

import click

from allocator.cli.export import export_journal, import_journal
from allocator.cli.options import JSON, PREFIX, SOURCE, Command, Number

_JOURNAL_EPILOG = """\b
Exit codes:
  0    everything that was asked for has been shown
  1    the database does not answer, or there is no such order, stock or product in it
  2    a flag or a variable is wrong, or there is no journal
  130  Ctrl-C
"""


@click.group()
def journal() -> None:
    """Show what happened, to what, when and by whom.

    The journal is the truth: one row for each thing that ever happened, never changed. These
    commands only read it, beside a running server or without one; `import` fills an empty database.
    """


@journal.command(cls=Command, params=[*SOURCE, JSON], epilog=_JOURNAL_EPILOG)
@click.option(
    "--follow",
    is_flag=True,
    envvar=f"{PREFIX}FOLLOW",
    show_envvar=True,
    help="Wait for more, until Ctrl-C.",
)
@click.option(
    "--product",
    metavar="SKU",
    envvar=f"{PREFIX}PRODUCT",
    show_envvar=True,
    help="Only what happened to this product, wherever it is.",
)
@click.option(
    "--warehouse",
    metavar="CODE",
    envvar=f"{PREFIX}WAREHOUSE",
    show_envvar=True,
    help="Only what happened at this warehouse or location.",
)
@click.option(
    "--kind",
    multiple=True,
    metavar="KIND",
    envvar=f"{PREFIX}KIND",
    show_envvar=True,
    help="Only events of this kind, such as order_placed; may be given several times.",
)
@click.option(
    "--since",
    metavar="TIME",
    envvar=f"{PREFIX}SINCE",
    show_envvar=True,
    help="Begin at this time: 2026-11-21T04:58:10Z, or 15m for a quarter of an hour ago.",
)
@click.option(
    "--after",
    metavar="POSITION",
    envvar=f"{PREFIX}AFTER",
    show_envvar=True,
    help="Begin behind this position, or at the very start: `start`.",
)
@click.option(
    "--limit",
    type=Number(1, 1_000_000_000),
    metavar="N",
    envvar=f"{PREFIX}LIMIT",
    show_envvar=True,
    help="Stop after so many: without a beginning the last ones, or with --follow the next.",
)
def tail(  # noqa: PLR0913 (one argument a flag)
    *,
    data_dir: Path | None,
    database_url: str | None,
    follow: bool,
    product: str | None,
    warehouse: str | None,
    kind: tuple[str, ...],
    since: str | None,
    after: str | None,
    limit: int | None,
    json: bool,
) -> int:
    """Show the journal in the order in which it was committed, a line an event.

    Without --since or --after it begins with the last 20 events. It shows nothing that an older
    transaction, still running, could yet precede; so what it has shown is complete, and at its end
    it says how to go on from there.
    """
    from allocator.journal.command import Source, TailFlags, run_tail

    flags = TailFlags(
        follow=follow,
        product=product,
        warehouse=warehouse,
        kinds=kind,
        since=since,
        after=after,
        limit=limit,
        as_json=json,
    )
    return run_tail(flags, Source(database_url=database_url, data_dir=data_dir))


@journal.command(cls=Command, params=[*SOURCE, JSON], epilog=_JOURNAL_EPILOG)
@click.argument("what", metavar="ID")
def show(*, what: str, data_dir: Path | None, database_url: str | None, json: bool) -> int:
    """Show all that ever happened to an order, a stock, a move, a cart or a product somewhere.

    ID is the id of an order, a stock, a move, a cart, a checkout or a ticket option, as the API
    gives it, or WAREHOUSE/PRODUCT, or the code of a location that holds one product at a time.
    Behind each event stands what had become of it: the order's, the move's or the cart's status,
    or the units of the stock or of all. A move is shown with what it asked of both places, a
    checkout with all of its cart.
    """
    from allocator.journal.command import Source, run_show

    source = Source(database_url=database_url, data_dir=data_dir)
    return run_show(what, source, as_json=json)


for command in (export_journal, import_journal):
    journal.add_command(command)
