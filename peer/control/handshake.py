"""How two programs prove to each other that they know one secret, and go on proving it (SPEC.md 10.2).

Each side draws a nonce. From the secret and both nonces come three values, told apart by a label, so that
nothing one side has sent is ever of use when sent back to it. The secret itself goes nowhere.

    key(label) = HMAC-SHA256(secret, label || client nonce || server nonce)

The server's answer to Hello carries key("server proof") as its proof. After it every box has a seal, a MAC
over the box and its number in that direction, whose key only the secret gives: the client's first seal is its
proof, and who merely relays the bytes of a proven connection can't slip in a command of their own.
"""

import hmac
from hashlib import sha256

from attrs import define, field, frozen

VERSIONS = (1,)
"""The versions of the control protocol that are spoken here."""

SECRET_BYTES = 32
NONCE_BYTES = 32
SEAL_BYTES = 32

_LABEL = b"backup-peer control 1 "


@define
class Seal:
    """The seals of one direction: of box n, counted from 0, HMAC-SHA256(key, n in eight bytes || box)."""

    _key: bytes = field(repr=False)
    _count: int = 0

    def of_next(self, box: bytes) -> bytes:
        """The seal of the next box, which reads `box` without its seal; counts it."""
        number = self._count.to_bytes(8, "big")
        self._count += 1
        return hmac.digest(self._key, number + box, sha256)


@frozen
class Handshake:
    """What both sides make of the secret and the two nonces."""

    _secret: bytes = field(repr=False)
    _nonces: bytes = field(repr=False)

    @classmethod
    def of(cls, secret: bytes, *, client_nonce: bytes, server_nonce: bytes) -> "Handshake":
        """Raise ValueError for a nonce or a secret of the wrong length: joined, they would be ambiguous."""
        if len(secret) != SECRET_BYTES:
            raise ValueError(f"a secret has {SECRET_BYTES} bytes")
        if len(client_nonce) != NONCE_BYTES or len(server_nonce) != NONCE_BYTES:
            raise ValueError(f"a nonce has {NONCE_BYTES} bytes")
        return cls(secret, client_nonce + server_nonce)

    @property
    def server_proof(self) -> bytes:
        """What only a server that knows the secret can answer to the client's nonce."""
        return self._key(b"server proof")

    def is_server_proof(self, proof: bytes) -> bool:
        """Whether `proof` is the server's, found out in a time that doesn't depend on where they differ."""
        return hmac.compare_digest(proof, self.server_proof)

    def client_seal(self) -> Seal:
        """The seals of the boxes that the client sends."""
        return Seal(self._key(b"client seal"))

    def server_seal(self) -> Seal:
        """The seals of the boxes that the server sends."""
        return Seal(self._key(b"server seal"))

    def _key(self, label: bytes) -> bytes:
        return hmac.digest(self._secret, _LABEL + label + self._nonces, sha256)
