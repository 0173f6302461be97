"""Run by Python itself at the start of a server and of each of its workers: notes whom they want to talk to.

A folder on PYTHONPATH makes it so (tests/browser/conftest.py). Every connection, datagram and look-up of a name that
does not stay on this machine becomes a line of the file named in SAPO_VIZ_OUTGOING. Code that opens sockets without
Python is not seen.
"""

from __future__ import annotations

import ipaddress
import os
import sys

_TO = {"socket.connect", "socket.sendto", "socket.sendmsg"}  # arguments: the socket, then the address
_LOOK_UP = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}  # arguments: the name first


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return None


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event in _TO:
        target = arguments[1]
        if not isinstance(target, tuple):  # a socket file, or a datagram on a connection that was seen
            return
        address = _address(str(target[0]))
        stays = address is not None and (address.is_loopback or address.is_unspecified)
    elif event in _LOOK_UP:
        target = arguments[0]
        name = target.decode() if isinstance(target, bytes) else str(target or "localhost")
        stays = name == "localhost" or _address(name) is not None  # an address needs no looking up
    else:
        return
    if not stays:
        line = f"{event} {target!r} by {' '.join(sys.argv[:4])}\n"
        file = os.open(os.environ["SAPO_VIZ_OUTGOING"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, line.encode())
        os.close(file)


if "SAPO_VIZ_OUTGOING" in os.environ:
    sys.addaudithook(_note)
