"""Room for connections: each is an open file, and the system allows a process only so many."""

import resource

import structlog

log = structlog.get_logger()


def allow_files(count: int) -> int:
    """Have the system allow so many open files, or as many as it may; return how many it does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed


def room_for(calls: int, *, beside: int) -> int:
    """Have room for calls, and return for how many there is.

    Args:
        calls: How many connections are wanted.
        beside: How many files the process may need for all else.

    Returns:
        At most `calls`, and at least one; if it is fewer, the log says so.
    """
    wanted = calls + beside
    allowed = allow_files(wanted)
    room = max(allowed - beside, min(calls, allowed // 4), 1)
    if room < calls:
        log.warning("payments.few_files", allowed=allowed, wanted=wanted, calls=room)
    return room
