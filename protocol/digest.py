"""The digest kept of every chunk, by home and holder alike, with the name of its algorithm."""

from __future__ import annotations

from hashlib import sha256
from typing import Self

from attrs import field, frozen

from protocol.values import Body

SHA256 = "sha256"
"""The one algorithm so far. The name is kept with each digest so that another can follow without a guess."""

_LENGTHS = {SHA256: 32}


@frozen(slots=True)
class Digest:
    """A digest and how it was made. ValueError for an algorithm or a length that isn't known."""

    algorithm: str
    """Name of the algorithm, in lower case."""
    value: bytes = field(repr=lambda value: value.hex())
    """The digest itself: 32 bytes for sha256."""

    def __attrs_post_init__(self) -> None:
        expected = _LENGTHS.get(self.algorithm)
        if expected is None:
            raise ValueError(f"unknown digest algorithm {self.algorithm!r}")
        if len(self.value) != expected:
            raise ValueError(f"a {self.algorithm} digest has {expected} bytes, this one {len(self.value)}")

    @classmethod
    def of(cls, body: Body) -> Self:
        """The digest of ``body`` by the algorithm that is used for new chunks (45 µs for a full one)."""
        return cls(SHA256, sha256(body).digest())

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read what ``str()`` gave; raise ValueError for anything else."""
        algorithm, separator, value = text.partition(":")
        if not separator:
            raise ValueError(f"a digest is written algorithm:hex, not {text!r}")
        return cls(algorithm, bytes.fromhex(value))

    def matches(self, body: Body) -> bool:
        """Whether ``body`` has this digest."""
        return sha256(body).digest() == self.value

    def __str__(self) -> str:
        """The text form, as ``sha256:9f86d0…``, in lower case."""
        return f"{self.algorithm}:{self.value.hex()}"
