"""A page of the state as JSON text (SPEC.md 10.4), written by the server and read by the client."""

import json
from typing import Any

from attrs import asdict

from peer.control.interfaces import ChunkState, FileState, StatePage


def page_entries(page: StatePage) -> str:
    """The entries of `page`, without its cursor, as one line of ASCII."""
    entries = {
        "files": [asdict(file) for file in page.files],
        "chunks": [asdict(chunk) for chunk in page.chunks],
    }
    return json.dumps(entries, separators=(",", ":"))


def read_page(entries: str, cursor: str) -> StatePage:
    """The page that was written as `entries`; ValueError if it was not written by `page_entries`."""
    try:
        values: dict[str, list[dict[str, Any]]] = json.loads(entries)
        return StatePage(
            files=tuple(_file(values=value) for value in values["files"]),
            chunks=tuple(ChunkState(**value) for value in values["chunks"]),
            cursor=cursor,
        )
    except (KeyError, TypeError) as error:
        raise ValueError("not a page of the state") from error


def _file(values: dict[str, Any]) -> FileState:
    chunks = tuple((no, perceived) for no, perceived in values.pop("chunks"))
    return FileState(chunks=chunks, **values)
