"""A network between actors, which brings what they say late, twice, out of order, or never."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tests.property.places import World

SOMETHING = st.integers(0, 1 << 16)
"""Which of several: a machine takes it modulo their number."""


class NetworkMachine(RuleBasedStateMachine):
    """What may happen to whatever is under way, whoever the actors are."""

    world: World

    @precondition(lambda self: self.world.asks or self.world.answers)
    @rule(rounds=st.integers(1, 6))
    def the_network_works(self, rounds: int) -> None:
        """For a while, everything arrives."""
        for _ in range(rounds):
            self.world.deliver_all()

    @precondition(lambda self: self.world.asks)
    @rule(which=SOMETHING)
    def an_ask_arrives(self, which: int) -> None:
        """Any of those under way."""
        self.world.deliver_ask(which % len(self.world.asks))

    @precondition(lambda self: self.world.sent)
    @rule(which=SOMETHING)
    def an_ask_arrives_again(self, which: int) -> None:
        """Any that was ever sent: it slept somewhere."""
        self.world.asks.append(self.world.sent[which % len(self.world.sent)])
        self.world.deliver_ask(-1)

    @precondition(lambda self: self.world.answers)
    @rule(which=SOMETHING, keep=st.booleans())
    def an_answer_arrives(self, which: int, keep: bool) -> None:  # noqa: FBT001
        """Any of those under way, perhaps twice."""
        self.world.deliver_answer(which % len(self.world.answers), keep=keep)

    @precondition(lambda self: self.world.answers)
    @rule(which=SOMETHING)
    def an_answer_is_lost(self, which: int) -> None:
        """And asked for again, some time; or nobody will ever know but the pool."""
        del self.world.answers[which % len(self.world.answers)]
