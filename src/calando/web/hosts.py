"""The names that the page answers to, and the origins that it takes commands from.

A page elsewhere can give its own name this machine's address (rebinding) and so ask here as if it were from here.
It cannot send another `Host` than its own name, so a request under a name that is not ours is refused, and a command
needs an `Origin` that is ours.

    reached by          Host that is answered to                      Origin of a command
    loopback            127.0.0.1, localhost, [::1], any port         http://HOST, as in `Host`
    beyond, with TLS    also this machine's names, any address        https://HOST
    behind a proxy      also the names of `--known-as`                  also https://NAME

Any port: `ssh -L 9000:127.0.0.1:8321` has another one at its near end.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

from calando.language import _

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["LOOPBACK", "Hosts", "KnownHosts"]

SHAPE = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9_.-]{1,253})(?::[0-9]{1,5})?")
SAFE = ("GET", "HEAD")


@dataclass(frozen=True)
class Hosts:
    """What the page is reached by.

    Attributes:
        names: host names and addresses without port, in small letters; IPv6 in brackets.
        addresses: any IP address as well; a rebound name is never one.
        encrypted: browsers reach it by https, be it by our TLS or a proxy's.
        proxied: names of `names` that a proxy answers to, so that `Host` may be another.
    """

    names: frozenset[str]
    addresses: bool = False
    encrypted: bool = False
    proxied: frozenset[str] = frozenset()

    def know(self, host: str) -> bool:
        """Whether a `Host` is ours."""
        name = _name(host)
        return name is not None and (name in self.names or (self.addresses and _is_address(name)))

    def own(self, origin: str | None, host: str) -> bool:
        """Whether an `Origin` is that of our page, asked for under `host`."""
        scheme, separator, place = (origin or "").lower().partition("://")
        if not separator or scheme != ("https" if self.encrypted else "http"):
            return False
        return place == host.lower() or (_name(place) in self.proxied)


LOOPBACK = Hosts(frozenset({"127.0.0.1", "localhost", "[::1]"}))


class KnownHosts:
    """ASGI middleware that refuses other hosts' names, and what other origins' scripts ask."""

    def __init__(self, app: ASGIApp, hosts: Hosts) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may pass."""
        refusal = self._refuse(scope) if scope["type"] == "http" else None
        await (self._app if refusal is None else refusal)(scope, receive, send)

    def _refuse(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or not self._hosts.know(hosts[0]):
            return PlainTextResponse(
                _("this page does not answer to that host name; `calando serve --known-as NAME` adds one"),
                status_code=400,
            )
        # What a browser says itself of who asks: nothing (an old one, or curl), none (the address bar), same-origin.
        site = headers.get("sec-fetch-site", "none")
        elsewhere = site not in ("none", "same-origin")
        if scope["method"] not in SAFE:
            if elsewhere or len(origins) != 1 or not self._hosts.own(origins[0], hosts[0]):
                return PlainTextResponse(_("commands are taken from this page only"), status_code=403)
        elif elsewhere and headers.get("sec-fetch-mode") != "navigate":
            return PlainTextResponse(_("another page's scripts read nothing here"), status_code=403)
        return None


def _name(host: str) -> str | None:
    """The name of `name:port`, in small letters; None where it has another shape."""
    found = SHAPE.fullmatch(host.lower())
    return found[1] if found else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
