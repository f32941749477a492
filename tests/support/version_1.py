"""What a store held when it was of version 1: the same tables and slots, and all digests by SHA-256."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256

import pytest

from protocol.digest import SHA256, Digest
from protocol.values import Body
from storage.disk import IDisk
from storage.layout import Layout


def digest_of(_cls: type[Digest], body: Body) -> Digest:
    """As ``Digest.of`` was then."""
    return Digest(SHA256, sha256(body).digest())


@contextmanager
def version_1() -> Iterator[None]:
    """Whatever is written in the block is written as it was then; but for the databases' version."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Digest, "of", classmethod(digest_of))
        patch.setattr("storage.slot.VERSION", 1)
        yield


def set_back_to_version_1(disk: IDisk, root: str) -> None:
    """Give the databases of a closed store the number that they had."""
    for path in (Layout(root).catalog, Layout(root).index):
        with closing(disk.connect(path)) as connection:
            connection.execute("PRAGMA user_version = 1")
    disk.remove(Layout(root).seals)
