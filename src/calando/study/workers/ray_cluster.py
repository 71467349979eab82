"""Joining a Ray cluster, or starting one on this machine; and reading what it reports."""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
from collections.abc import Mapping

from calando.errors import UsageError
from calando.language import joined, message
from calando.study.workers.messages import Ready

__all__ = ["check_versions", "how_it_died", "join"]

KNOCK_SECONDS = 10.0


def join(address: str | None, *, cpus: int) -> bool:
    """Have a Ray to work with; whether it is somebody else's to end.

    Args:
        address: of a cluster's head as HOST:PORT, or "auto" on one of its machines; None: the one that this process
            is joined to already, or else a new one on this machine, of so many `cpus`.

    Raises:
        UsageError: this is Windows, Ray is not installed, or nobody answers at the address.
    """
    if sys.platform == "win32":
        # A remote worker starts its process by /bin/sh and hands it a socket, which Windows has not.
        raise UsageError(
            message("executor 'ray' needs Linux or macOS; leave --executor out to train in processes here")
        )
    # Both are read when Ray is imported or started: it reports nothing home, and its daemons print nothing here.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    try:
        import ray
    except ImportError:
        raise UsageError(message("executor 'ray' needs Ray; pip install 'calando[ray]'")) from None
    if ray.is_initialized():
        return True
    if address is None:
        ray.init("local", num_cpus=cpus, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        return False
    if address.startswith("ray://"):
        raise UsageError(
            message(
                "address {address!r} is of Ray's client; run calando on a machine of the cluster, with 'auto'",
                address=address,
            )
        )
    try:
        _knock(address)
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UsageError(
            message(
                "no Ray cluster can be joined at {address!r} ({reason}); start one with `ray start --head`, "
                "and give its address as HOST:PORT, or 'auto' on one of its machines",
                address=address,
                reason=reason,
            )
        ) from error
    return False


def check_versions(ready: Ready, ours: Mapping[str, str]) -> None:
    """Refuse (UsageError) a worker whose calando, Python or torch would not give the same numbers."""
    theirs = ready.versions
    differing = [
        message(
            "{name} {theirs}, here {ours}",
            name=name,
            theirs=theirs[name] or message("none"),
            ours=ours[name] or message("none"),
        )
        for name in ours
        if theirs[name] != ours[name]
    ]
    if differing:
        raise UsageError(
            message(
                "{host} has {differing}; install the same on every machine",
                host=ready.host,
                differing=joined("{one}; {other}", differing),
            )
        )


def how_it_died(error: Exception) -> str:
    """Ray's account, which has many lines, in a few words.

    >>> how_it_died(RuntimeError("The actor died.\\nThe actor is dead because its node has died. Node Id: 00fa"))
    'its node has died'
    """
    text = str(error)
    if type(error).__name__ == "ActorUnavailableError":
        return "cannot be reached any more"
    found = re.search(r"The actor (?:is dead|died) because (?:of )?(.*?)(?:\.\s|\.?$|,)", text, re.MULTILINE)
    cause = re.findall(r"^(\w*Error: .*)$", text, re.MULTILINE)
    return "; ".join([found[1] if found else type(error).__name__, *cause[-1:]])


def _knock(address: str) -> None:
    """Raises OSError where nobody answers: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=KNOCK_SECONDS).close()
