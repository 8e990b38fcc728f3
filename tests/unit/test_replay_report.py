"""The report: every number is there, and long lists are cut with a count."""

from allocator.replay.drive import Surprise, Tally
from allocator.replay.ledger import Balance, Difference
from allocator.replay.plan import Lane, Opening, Placing, Plan
from allocator.replay.report import Report, Times, render

EMPTY = Balance(available=0, ordered=1, held=0, unallocatable={}, on_hand=1)
TIMES = Times(opening_s=1.0, sending_s=2.0, reading_s=1.0)


def plan_of(products: int, *, respelled: dict[str, str] | None = None) -> Plan:
    lanes = tuple(
        Lane(
            opening=Opening(line=line, sku=f"P{line}", name="", quantity=1),
            steps=(Placing(line=line, sku=f"P{line}", quantity=1, customer="", accepted=True),),
            balance=EMPTY,
        )
        for line in range(products)
    )
    return Plan(
        lanes=lanes,
        lines=products,
        without_quantity=0,
        without_product=0,
        respelled=respelled or {},
    )


def report_of(
    *,
    plan: Plan | None = None,
    tally: Tally | None = None,
    differences: tuple[Difference, ...] = (),
) -> Report:
    return Report(
        history="history.csv",
        warehouse="online-1",
        clients=64,
        plan=plan or plan_of(4000),
        tally=tally or Tally(placed=3000, refused=1000, cancelled=7, received=8),
        differences=differences,
        answered=12000,
        repeated=3,
        times=TIMES,
    )


def test_a_report_of_a_good_run_says_what_was_done_and_how_fast() -> None:
    assert render(report_of()) == [
        "history         history.csv: 4,000 lines, 4,000 products",
        "warehouse       online-1",
        (
            "opening stock   every 5th product opens with half of what is ordered of it, "
            "the others with all"
        ),
        "sent            4,000 lines by 64 clients",
        "orders placed   3,000",
        "orders refused  1,000",
        "returns         7 cancelled an open order, 8 received as stock",
        "time            4.0 s: opening 1.0, lines 2.0, balances 1.0",
        "requests        12,000 answered, 3,000/s (lines alone 2,000/s)",
        "repeated        3",
        "answers         4,000 compared, 0 different",
        "balances        4,000 compared, 0 different",
        "identical to a sequential calculation",
    ]


def test_a_difference_shows_both_balances() -> None:
    actual = Balance(available=0, ordered=0, held=1, unallocatable={"damaged": 2}, on_hand=3)
    report = report_of(differences=(Difference(sku="P7", expected=EMPTY, actual=actual),))

    assert not report.identical
    assert render(report)[-4:] == [
        "balances        4,000 compared, 1 different",
        "  P7: calculated available 0, ordered 1, held 0, on_hand 1",
        "        answered available 0, ordered 0, held 1, on_hand 3, unallocatable {'damaged': 2}",
        "DIFFERENT from a sequential calculation",
    ]


def test_only_the_first_surprises_are_listed() -> None:
    surprises = [
        Surprise(line=line, sku="P", expected="placed", actual="refused") for line in range(8)
    ]
    report = report_of(tally=Tally(surprises=surprises))

    lines = render(report)
    start = lines.index("answers         4,000 compared, 8 different")
    assert not report.identical
    assert lines[start + 1] == "  line 0, P: calculated placed, answered refused"
    assert lines[start + 5 : start + 7] == [
        "  line 4, P: calculated placed, answered refused",
        "  and 3 more",
    ]


def test_respelled_codes_are_named() -> None:
    skus = {f"a {n}": f"a_{n}" for n in range(7)}

    assert (
        "respelled       'a 0' is a_0, 'a 1' is a_1, 'a 2' is a_2, 'a 3' is a_3, 'a 4' is a_4 "
        "and 2 more"
    ) in render(report_of(plan=plan_of(1, respelled=skus)))
