"""Carries a plan out and writes down what came back."""

import msgspec

from allocator.client.lanes import work_lanes
from allocator.replay.ledger import Balance
from allocator.replay.plan import Cancelling, Lane, Opening, Placing, Plan, Receiving, Step
from allocator.replay.progress import Progress
from allocator.replay.shop import Shop


class Surprise(msgspec.Struct, frozen=True, kw_only=True):
    """A line that the server answered in another way than the calculation does."""

    line: int
    sku: str
    expected: str
    actual: str


class Tally(msgspec.Struct, kw_only=True):
    """What became of the lines, by the server's answers."""

    placed: int = 0
    refused: int = 0
    cancelled: int = 0
    received: int = 0
    surprises: list[Surprise] = msgspec.field(default_factory=list)


class Drive:
    """One plan on its way through one shop; `open`, `send` and `balances` in this order."""

    def __init__(self, plan: Plan, *, shop: Shop, clients: int, progress: Progress) -> None:
        self._plan = plan
        self._shop = shop
        self._clients = clients
        self._progress = progress
        self._orders: dict[int, str] = {}
        self._tally = Tally()

    async def open(self) -> None:
        """Make every product known, with its opening stock."""
        self._progress.phase("opening products", total=len(self._plan.lanes))
        openings = [[lane.opening] for lane in self._plan.lanes]
        await work_lanes(openings, clients=self._clients, act=self._open_product)

    async def send(self) -> Tally:
        """Send every line and return what became of them."""
        self._progress.phase("sending lines", total=self._plan.steps)
        lanes = [lane.steps for lane in self._plan.lanes]
        await work_lanes(lanes, clients=self._clients, act=self._take_step)
        return self._tally

    async def balances(self) -> dict[str, Balance]:
        """Return the balance of every product as the server has it, by sku."""
        self._progress.phase("reading balances", total=len(self._plan.lanes))
        balances: dict[str, Balance] = {}

        async def read(lane: Lane) -> None:
            balances[lane.sku] = await self._shop.balance(lane.sku)
            self._progress.advance()

        lanes = [[lane] for lane in self._plan.lanes]
        await work_lanes(lanes, clients=self._clients, act=read)
        return balances

    async def _open_product(self, opening: Opening) -> None:
        await self._shop.open_product(opening)
        self._progress.advance()

    async def _take_step(self, step: Step) -> None:
        match step:
            case Placing():
                await self._place(step)
            case Cancelling():
                await self._cancel(step)
            case Receiving():
                await self._shop.receive(step)
                self._tally.received += 1
        self._progress.advance()

    async def _place(self, step: Placing) -> None:
        order = await self._shop.place(step)
        if order is None:
            self._tally.refused += 1
        else:
            self._tally.placed += 1
            self._orders[step.line] = order
        if step.accepted != (order is not None):
            expected, actual = ("placed", "refused") if step.accepted else ("refused", "placed")
            self._surprise(step, expected=expected, actual=actual)

    async def _cancel(self, step: Cancelling) -> None:
        order = self._orders.get(step.order_line)
        if order is None:
            actual = f"not sent: the order of line {step.order_line} was refused"
            self._surprise(step, expected="cancelled", actual=actual)
        elif await self._shop.cancel(step, order=order):
            self._tally.cancelled += 1
        else:
            self._surprise(step, expected="cancelled", actual="refused")

    def _surprise(self, step: Step, *, expected: str, actual: str) -> None:
        self._tally.surprises.append(
            Surprise(line=step.line, sku=step.sku, expected=expected, actual=actual)
        )
