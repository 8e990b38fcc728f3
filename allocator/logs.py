"""Logs: one JSON object a line on standard error, ours and the libraries' alike."""

import logging
import os
import sys
from contextvars import ContextVar
from typing import Final, TypeAlias

import structlog
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import RequestPayloadError
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, Processor, WrappedLogger

from allocator.domain.ids import SHARD_MASK

_LIBRARIES: Final = logging.WARNING

_Facts: TypeAlias = dict[str, str | int]

# All tasks and threads of a worker inherit the same object, whatever becomes of its contents: a
# value that is bound anew in one task would stay the old one in all others.
_speaker: Final[ContextVar[_Facts]] = ContextVar("speaker")
_lone: Final[_Facts] = {}
"""Of a process with one worker, which nobody has to tell from others."""


def configure_logs(level: str) -> None:
    """Send everything from `level` on to standard error; libraries only from warnings on."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _say_whose_it_is,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendering: list[Processor] = [
        # Without the variables of each frame: they hold what customers sent, and passwords.
        structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
        structlog.processors.JSONRenderer(default=str),
    ]
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # One write a line: several processes share this stream, and may not buffer it.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    handler.addFilter(_shorten_bad_requests)
    logging.basicConfig(handlers=[handler], level=_LIBRARIES, force=True)


def bind_worker(place: int) -> None:
    """Have every line of this process say which worker of a server it is.

    To be called before the event loop runs: what runs in it inherits what was bound before.
    """
    _speaker.set({"worker": place, "pid": os.getpid()})


def bind_incarnation(incarnation: str) -> None:
    """Have every further line of this worker say which life it is in, wherever it is said."""
    _speaker.get(_lone)["incarnation"] = incarnation


def _say_whose_it_is(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """Add which worker speaks, and of which shard if it speaks of an actor."""
    for name, fact in _speaker.get(_lone).items():
        line.setdefault(name, fact)
    if isinstance(actor := line.get("actor"), int):
        line.setdefault("shard", actor & SHARD_MASK)
    return line


def _shorten_bad_requests(record: logging.LogRecord) -> bool:
    """Take the stack trace from what aiohttp says of a client that does not speak HTTP."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError | RequestPayloadError):
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.exc_info = None
    return True
