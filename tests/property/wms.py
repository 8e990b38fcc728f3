"""A warehouse's own system: what is physically there, and what it says and does in its own time."""

from collections import Counter
from dataclasses import dataclass, field

from allocator.domain.fed import Code
from allocator.domain.pushes import Push

Place = tuple[int, Code]
"""(pool, batch)."""


@dataclass(frozen=True)
class Loss:
    """Units that were there and are not any more, since a moment of the WMS's own counting."""

    as_of: int
    place: Place
    units: int


@dataclass(frozen=True)
class Page:
    """Everything that the WMS says as of a moment; or, as an event, of one batch alone."""

    as_of: int
    applied_through: int
    orderable: dict[Place, int]


@dataclass
class Wms:
    """The truth about units, and the WMS's own idea of what it has promised.

    Attributes:
        gross: Units that ever came and were not lost, by batch; those that were shipped included.
        allocated: Units that it subtracts, from the batch that it chose itself.
        received: Pushes that have arrived, in order, without gaps.
        expiries: When batches expire, milliseconds of Unix time.
    """

    gross: Counter[Place] = field(default_factory=Counter)
    allocated: Counter[Place] = field(default_factory=Counter)
    received: list[Push] = field(default_factory=list)
    applied_through: int = 0
    as_of: int = 1
    losses: list[Loss] = field(default_factory=list)
    expiries: dict[Code, int] = field(default_factory=dict)

    def receive(self, place: Place, units: int) -> None:
        """Units arrive."""
        self.as_of += 1
        self.gross[place] += units

    def lose(self, place: Place, units: int) -> None:
        """Units break, or are not found: promised ones, perhaps."""
        units = min(units, self.gross[place])
        self.as_of += 1
        self.gross[place] -= units
        self.losses.append(Loss(self.as_of, place, units))

    def relabel(self, source: Place, target: Place, units: int) -> None:
        """Units turn out to be of another batch."""
        units = min(units, max(0, self.orderable(source)))
        self.as_of += 1
        self.gross[source] -= units
        self.gross[target] += units

    def pick_another(self, source: Place, target: Place, units: int) -> None:
        """Somebody takes other units than were promised; never more than there are."""
        units = min(units, self.allocated[source], max(0, self.orderable(target)))
        self.as_of += 1
        self.allocated[source] -= max(0, units)
        self.allocated[target] += max(0, units)

    def hear(self, number: int, push: Push) -> None:
        """A push arrives, perhaps again; one that comes too early will be sent again."""
        if number == len(self.received) + 1:
            self.received.append(push)

    def work(self, *, at_most: int) -> None:
        """Apply some of the pushes that have arrived, in order."""
        for push in self.received[self.applied_through :][:at_most]:
            self.as_of += 1
            self.applied_through += 1
            for line in push.lines:
                self.allocated[push.actor_id, line.code] += line.decrease + line.aside

    def orderable(self, place: Place) -> int:
        """Say what may still be promised of a batch; negative if there was too much already."""
        return self.gross[place] - self.allocated[place]

    def page(self) -> Page:
        """Say everything; batches of which nothing can be ordered are left out, as some do."""
        places = set(self.gross) | set(self.allocated)
        orderable = {place: self.orderable(place) for place in places}
        named = {place: units for place, units in orderable.items() if units}
        return Page(self.as_of, self.applied_through, named)

    def event(self, place: Place) -> Page:
        """Say something of one batch."""
        return Page(self.as_of, self.applied_through, {place: self.orderable(place)})
