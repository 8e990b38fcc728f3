"""What workers have counted, kept beyond their lives.

A scraper takes a counter that falls for one that began anew, and adds all of it to the rate once
more. The totals of a server would fall with each worker that dies, is exchanged, or does not
answer. So a worker writes its figures down before it shows them to anybody, and whoever is scraped
adds those of the lives that it has no answer from. What was shown once is never missed again.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Final

import msgspec
import structlog

from allocator.actors.statistics import Figures, merged

log = structlog.get_logger()

SUFFIX: Final = ".figures"

_decoder: Final = msgspec.msgpack.Decoder(Figures)


class Lives:
    """The figures of all lives of one server's workers.

    Args:
        directory: The same for all of them, and emptied of `SUFFIX` when the server starts.
        life: Names this worker's process among all that the server ever has.
    """

    def __init__(self, directory: Path, *, life: str) -> None:
        self._directory = directory
        self._life = life

    def keep(self, figures: Figures) -> Figures:
        """Write figures down; what is returned may be shown, and says whose life it is.

        They are some 2 kB. If they cannot be written, they are shown all the same.
        """
        kept = msgspec.structs.replace(figures, life=self._life)
        unfinished = self._directory / f"{self._life}.tmp"
        try:
            unfinished.write_bytes(msgspec.msgpack.encode(kept))
            unfinished.replace(self._directory / f"{self._life}{SUFFIX}")
        except OSError as error:
            log.warning("metrics.not_kept", error=str(error))
        return kept

    def former(self, heard: Collection[Figures]) -> Figures:
        """Return what all lives had counted that were not heard; nothing of it is still so."""
        known = {figures.life for figures in heard}
        paths = [path for path in self._directory.glob(f"*{SUFFIX}") if path.stem not in known]
        return merged([figures for path in paths if (figures := _read(path)) is not None])


def _read(path: Path) -> Figures | None:
    try:
        figures = _decoder.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        log.warning("metrics.not_kept", error=str(error))
        return None
    return msgspec.structs.replace(
        figures,
        shards=0,
        unanswered_messages=0,
        mailbox_messages_max=0,
        actors=0,
        quarantined_actors=0,
        processes=0,
        outstanding_asks=0,
        oldest_ask_ms=0,
        wake_up_lag_ms=0,
        connections=0,
        subscribers=0,
        webhook_lags_ms={},
        feed_pushes={},
        feed_lags_ms={},
        feed_ages_ms={},
        feed_events={},
        feed_event_lags_ms={},
        feed_shortfalls={},
        payments_waiting=0,
        payments_under_way=0,
        payments_reporting=0,
    )
