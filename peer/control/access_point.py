"""Where a peer can be reached by its user: a TCP port or a Unix socket, as text and as a value."""

import ipaddress
from typing import Self

from attrs import frozen

DEFAULT_HOST = "127.0.0.1"

MAX_SOCKET_PATH_BYTES = 107
"""Linux has 108 bytes for a Unix socket's path and the NUL that ends it."""


class AccessPointError(ValueError):
    """A text that is no access point; says in one sentence why, and what one looks like."""


@frozen
class AccessPoint:
    """Either `host` and `port` (0 to 65,535), or the `path` of a Unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `port`, `host:port`, `[IPv6 address]:port` or the path of a Unix socket, which has a slash."""
        if "\0" in text:
            raise AccessPointError("an access point has no NUL character in it")
        if "/" in text:
            if len(text.encode("utf-8", "surrogateescape")) > MAX_SOCKET_PATH_BYTES:
                raise AccessPointError(
                    f"the path of a Unix socket has at most {MAX_SOCKET_PATH_BYTES} bytes, {text} is longer"
                )
            return cls(path=text)
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
        if (
            not (port.isascii() and port.isdigit())
            or len(port) > 5
            or int(port) > 65_535
            or (colon and not host)
        ):
            raise AccessPointError(
                f"{text!r} is no access point: give a port (8001), a host and a port (127.0.0.1:8001)"
                " or the path of a Unix socket (/run/user/1000/peer.sock, ./peer.sock)"
            )
        return cls(host=host or DEFAULT_HOST, port=int(port))

    @property
    def is_unix(self) -> bool:
        """Whether it is a Unix socket: then the file's mode says who may come in, and no secret is needed."""
        return bool(self.path)

    @property
    def is_local(self) -> bool:
        """Whether it is certainly on this machine, so that a path means the same file on both sides."""
        if self.is_unix or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        if self.is_unix:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
