"""Where the page is reached: this machine alone, unless asked otherwise, and then never unencrypted.

--host                                    127.0.0.1 (as given): whoever is on this machine
--host ADDRESS --tls-cert F --tls-key F   the network, by https
--host ADDRESS --behind-proxy             the network, where a proxy in front does the encryption
anything else beyond loopback             refused, with the line of SSH that does it as well
"""

from __future__ import annotations

import errno
import getpass
import ipaddress
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from calando.errors import UsageError
from calando.language import message
from calando.web.hosts import LOOPBACK, Hosts

__all__ = ["Reach", "plan_reach"]


@dataclass(frozen=True)
class Reach:
    """What was asked for, and may be.

    Attributes:
        place: the address to listen at.
        port: 0: any free one.
        hosts: the names that are answered to.
        certificate: files of the certificate and of its key; None: not our encryption.
        shown: the name that a browser finds it by; a proxy's name stands without a port.
    """

    place: str
    port: int
    hosts: Hosts
    certificate: tuple[Path, Path] | None
    shown: str

    def listen(self) -> socket.socket:
        """A port that is open.

        Raises:
            UsageError: it is in use, or the address is another machine's.
        """
        family = socket.AF_INET6 if ":" in self.place else socket.AF_INET
        try:
            return socket.create_server((self.place, self.port), family=family)
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise _no_address(self.place, error) from error
            raise UsageError(
                message(
                    "port {port} is already in use; choose another, or 0"
                    if error.errno == errno.EADDRINUSE
                    else "port {port} cannot be opened: {why}; choose another, or 0",
                    port=self.port,
                    why=error.strerror,
                )
            ) from error

    def address(self, listener: socket.socket) -> str:
        """The page's, with "/" at its end."""
        scheme = "https" if self.hosts.encrypted else "http"
        port = "" if self.hosts.proxied else f":{listener.getsockname()[1]}"
        return f"{scheme}://{self.shown}{port}/"


def plan_reach(
    host: str,
    port: int,
    *,
    tls_cert: Path | None,
    tls_key: Path | None,
    behind_proxy: bool,
    names: Sequence[str],
    open_to_all: bool,
) -> Reach:
    """What may be, of what is asked for.

    Args:
        host: name or address to listen at.
        port: 0: any free one.
        tls_cert, tls_key: files of a certificate in PEM and its key without a passphrase; both or none.
        behind_proxy: a proxy in front does the encryption.
        names: other host names that the page is reached by.
        open_to_all: nobody is asked for a token.

    Raises:
        UsageError: beyond loopback without encryption or without tokens, a file that is no certificate, no address of
            this machine, or a port out of range.
    """
    if not 0 <= port <= 65535:
        raise UsageError(message("port= must be from 0 to 65535, got {port}", port=port))
    if not host:
        raise UsageError(message("host= is empty; leave it away, or give 127.0.0.1"))
    place = _resolve(host)
    certificate = _certificate(tls_cert, tls_key)
    beyond = not ipaddress.ip_address(place).is_loopback
    if beyond and certificate is None and not behind_proxy:
        raise UsageError(
            message(
                "host={host!r} would show the page to the network unencrypted: give tls_cert= and tls_key=, or "
                "behind_proxy= where a proxy in front of it does the encryption; or leave host= away and run on your "
                "own machine, {command}",
                host=host,
                command=_ssh(port),
            )
        )
    if beyond and open_to_all:
        raise UsageError(
            message("no_token= with host={host!r} would let the whole network steer; leave one of them away", host=host)
        )
    own = {_bracketed(host.lower()), _bracketed(place)}
    given = {_bracketed(one.lower()) for one in names}
    if beyond:
        own |= {socket.gethostname().lower(), socket.getfqdn().lower()}
    hosts = Hosts(
        LOOPBACK.names | own | given,
        addresses=beyond,
        encrypted=certificate is not None or behind_proxy,
        proxied=frozenset(given if behind_proxy else ()),
    )
    shown = min(given) if hosts.proxied else _shown(host, place)
    return Reach(place, port, hosts, certificate, shown)


def _resolve(host: str) -> str:
    """The address of a host; loopback is judged by it, so that no name hides what it stands for."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise _no_address(host, error) from error
    return str(found[0][4][0])


def _no_address(host: str, error: Exception) -> UsageError:
    return UsageError(
        message(
            "host= must be an address of this machine, got {host!r} ({why}); leave it away, or give 127.0.0.1",
            host=host,
            why=error.args[-1],
        )
    )


def _certificate(cert: Path | None, key: Path | None) -> tuple[Path, Path] | None:
    """Both files, once they have been read together."""
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        given, lacking = ("tls_cert=", "tls_key=") if key is None else ("tls_key=", "tls_cert=")
        raise UsageError(message("{given} needs {lacking} as well", given=given, lacking=lacking))
    for option, path in (("tls_cert", cert), ("tls_key", key)):
        if not path.is_file():
            raise UsageError(
                message("{option}= must be a file, got {path!r}; there is none", option=option, path=str(path))
            )
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password="")
    except (ssl.SSLError, OSError) as error:
        raise UsageError(
            message(
                "tls_cert= {cert} and tls_key= {key} must be a certificate and its key, both in PEM, without a "
                "passphrase: {why}",
                cert=cert,
                key=key,
                why=error.strerror or error,
            )
        ) from error
    return cert, key


def _ssh(port: int) -> str:
    """The line that brings the page to another machine."""
    given = port or 8321
    return f"ssh -L {given}:127.0.0.1:{given} {getpass.getuser()}@{socket.gethostname()}"


def _shown(host: str, place: str) -> str:
    """What a browser can open: not the address that stands for all of them."""
    return socket.getfqdn() if ipaddress.ip_address(place).is_unspecified else _bracketed(host)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
