"""The two tables that people read."""

from bench import contenders as who
from bench.contenders import Contender
from bench.ratios import ROWLOCKS, Rounds
from bench.targets import TARGETS, Figure, Target


def contender_table(known: list[Contender], rounds: Rounds) -> str:
    """Return the contenders with their medians."""
    rows: list[tuple[str, ...]] = [
        ("", "per s", "÷ floor", "÷ row lock", "p50 ms", "p99 ms", "failed", "caught up")
    ]
    rows += [_contender_row(one, rounds) for one in known if rounds.of(one.name)]
    return aligned(rows)


def _contender_row(contender: Contender, rounds: Rounds) -> tuple[str, ...]:
    name = contender.name
    latency = rounds.latency(name)
    return (
        contender.title,
        f"{rounds.per_second(name):,.0f}",
        _number(rounds.ratio(name, who.FLOOR)),
        _number(rounds.ratio(name, *ROWLOCKS), decimals=1),
        _number(latency.p50_ms if latency else None),
        _number(latency.p99_ms if latency else None),
        str(rounds.failed(name)),
        f"{rounds.catch_up_max_s(name):.1f} s" if contender.projected else "",
    )


def target_table(figures: list[Figure]) -> str:
    """Return each target with what was measured and how far that got."""
    measured = {figure.name: figure for figure in figures}
    rows: list[tuple[str, ...]] = [("it must reach", "at least", "aim", "measured", "reached")]
    rows += [_target_row(target, measured.get(target.name)) for target in TARGETS]
    return aligned(rows)


def detail_lines(figures: list[Figure]) -> str:
    """Return what else was measured for each target, a line each; empty if nothing was."""
    titles = {target.name: target.title for target in TARGETS}
    return "\n".join(
        f"{titles[figure.name]}: "
        + ", ".join(f"{name} {value:,.10g}" for name, value in figure.rounded.details.items())
        for figure in figures
        if figure.details
    )


def failure_lines(figures: list[Figure]) -> str:
    """Return what was heard of one failed request for each target, a line each; empty if none."""
    titles = {target.name: target.title for target in TARGETS}
    return "\n".join(
        f"{titles[figure.name]}: one failure was {figure.failure}"
        for figure in figures
        if figure.failure
    )


def verdicts(figures: list[Figure]) -> dict[str, str]:
    """Return what each target's figure reached, by the target's name."""
    measured = {figure.name: figure for figure in figures}
    return {target.name: _verdict(target, measured.get(target.name)) for target in TARGETS}


def aligned(rows: list[tuple[str, ...]]) -> str:
    """Return rows of equal length as lines: first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _target_row(target: Target, figure: Figure | None) -> tuple[str, ...]:
    return (
        target.title,
        _in_unit(target, target.at_least),
        _in_unit(target, target.aim),
        _in_unit(target, figure.value) if figure else "",
        _verdict(target, figure),
    )


def _verdict(target: Target, figure: Figure | None) -> str:
    if figure is None:
        return target.verdict(None)
    return target.verdict(figure.value, spoiled=figure.spoiled)


def _in_unit(target: Target, value: float) -> str:
    return f"{_number(value, decimals=target.decimals)} {target.unit}".rstrip()


def _number(value: float | None, *, decimals: int = 2) -> str:
    return "" if value is None else f"{value:,.{decimals}f}"
