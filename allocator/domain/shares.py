"""How the workers of one server share the shards: what each may take, and what it gives away.

A **server** is one supervisor and its workers; its workers are **peers**, and only they can pass
requests on to each other. So one server owns all shards, and any other on the same database
waits until nobody of the first owns a shard any more.

Every worker follows two rules on its own: whoever has more than a fair share gives the excess
away, and whoever has less takes what is free. What was given is never taken back, since nobody
gives below the share or takes above it; and the shares together are never fewer than the shards.
So from any ownership, as long as nobody joins or leaves, each shard moves a few times at most.
"""

import msgspec

from allocator.domain.ids import SHARDS


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """A worker of our server that lives; ourselves included.

    Attributes:
        incarnation: The present one.
        name: Of the process, for people.
        address: Path of the Unix socket on which it takes requests of its peers; "" for none.
    """

    incarnation: str
    name: str
    address: str


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """Who serves what, at one moment.

    Attributes:
        peers: Workers of our server that live and may write, oldest first. We are among them
            unless we have been fenced.
        owners: By shard, the incarnation of the peer that owns it, or "" if none does.
        foreign: Whether a worker of another server lives and owns shards.
    """

    peers: tuple[Peer, ...]
    owners: tuple[str, ...]
    foreign: bool


def fair_share(workers: int) -> int:
    """Return how many shards one of so many workers owns at most; all, if there is but one."""
    return -(-SHARDS // max(workers, 1))


def surplus(survey: Survey, mine: frozenset[int]) -> frozenset[int]:
    """Return which of its shards a worker gives away: as many as exceed its fair share.

    Nothing while another server owns shards, for then nobody would take them.
    """
    share = fair_share(len(survey.peers))
    if survey.foreign or len(mine) <= share:
        return frozenset()
    return frozenset(sorted(mine)[share:])


def room(survey: Survey, mine: frozenset[int]) -> int:
    """Return how many more shards a worker may take, were they free."""
    if survey.foreign:
        return 0
    return max(0, fair_share(len(survey.peers)) - len(mine))


def wants(survey: Survey, mine: frozenset[int]) -> bool:
    """Return whether a worker should claim: some shard has no owner, and it may have more."""
    return "" in survey.owners and room(survey, mine) > 0
