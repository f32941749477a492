"""The digest kept of every chunk, by home and holder alike, with the name of its algorithm."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final, Self

from attrs import field, frozen
from blake3 import blake3

from protocol.values import Body

BLAKE3: Final = "blake3"
"""What new digests are made by: a third of the processor time that sha256 takes."""

SHA256: Final = "sha256"
"""What all digests were made by in stores of version 1."""

_HASHES: Final[dict[str, Callable[[Body], Any]]] = {BLAKE3: blake3, SHA256: sha256}
_LENGTH: Final = 32


@frozen(slots=True)
class Digest:
    """A digest and how it was made. ValueError for an algorithm or a length that isn't known."""

    algorithm: str
    """Name of the algorithm, in lower case."""
    value: bytes = field(repr=lambda value: value.hex())
    """The digest itself: 32 bytes by either of them."""

    def __attrs_post_init__(self) -> None:
        if self.algorithm not in _HASHES:
            raise ValueError(f"unknown digest algorithm {self.algorithm!r}")
        if len(self.value) != _LENGTH:
            raise ValueError(f"a {self.algorithm} digest has {_LENGTH} bytes, this one {len(self.value)}")

    @classmethod
    def of(cls, body: Body) -> Self:
        """The digest of ``body`` by the algorithm that is used for new chunks (16 µs for a full one)."""
        return cls(BLAKE3, blake3(body).digest())

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read what ``str()`` gave; raise ValueError for anything else."""
        algorithm, separator, value = text.partition(":")
        if not separator:
            raise ValueError(f"a digest is written algorithm:hex, not {text!r}")
        return cls(algorithm, bytes.fromhex(value))

    def matches(self, body: Body) -> bool:
        """Whether ``body`` has this digest."""
        return bool(_HASHES[self.algorithm](body).digest() == self.value)

    def __str__(self) -> str:
        """The text form, as ``blake3:af1349…``, in lower case."""
        return f"{self.algorithm}:{self.value.hex()}"
