"""Logs: one JSON object a line on standard error, ours and the libraries' alike."""

import logging
import os
import sys
from typing import Final

import structlog
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import RequestPayloadError
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import Processor

_LIBRARIES: Final = logging.WARNING


def configure_logs(level: str) -> None:
    """Send everything from `level` on to standard error; libraries only from warnings on."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
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

    To be called before the event loop runs: what runs in it inherits what was bound before. The
    database has the incarnations of a process under its host and pid, as `workers.name`.
    """
    structlog.contextvars.bind_contextvars(worker=place, pid=os.getpid())


def _shorten_bad_requests(record: logging.LogRecord) -> bool:
    """Take the stack trace from what aiohttp says of a client that does not speak HTTP."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError | RequestPayloadError):
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.exc_info = None
    return True
