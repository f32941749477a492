"""What a computer has promised, compared with what its disk holds when it starts (invariants 1, 2 and 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.opening import OpenStorage
from tests.simulation.facts import DROPPED

if TYPE_CHECKING:
    from tests.simulation.computer import Computer


def compare_with_promises(computer: Computer, storage: OpenStorage) -> None:
    """See the module; what was in doubt when the power went is known from now on."""
    _compare_capacity(computer, storage)
    _compare_restored(computer)
    _compare_copies(computer, storage)


def _compare_capacity(computer: Computer, storage: OpenStorage) -> None:
    capacity_bytes = storage.store.usage().capacity_bytes
    if capacity_bytes > computer.lent_bytes:
        computer.world.break_promise(
            6, f"{computer.name} lends {capacity_bytes} bytes again, {computer.lent_bytes} were set"
        )


def _compare_restored(computer: Computer) -> None:
    for path, content in computer.restored.items():
        if not computer.disk.exists(path) or computer.disk.read_file(path) != content:
            computer.world.break_promise(
                1, f"{computer.name} has restored {path}, and it is gone or has other bytes"
            )


def _compare_copies(computer: Computer, storage: OpenStorage) -> None:
    """All that was acknowledged is there, but for what was being dropped."""
    copies, world, name = computer.copies, computer.world, computer.name
    present = {held.chunk_id for held in storage.store.page(None, 1_000_000)}
    for chunk_id in sorted(copies.acknowledged - present):
        is_in_doubt = chunk_id in copies.in_doubt or chunk_id.file_id in copies.files_in_doubt
        if not is_in_doubt:
            world.break_promise(2, f"{name} has said STORED for {chunk_id}, and it is gone")
        elif copies.good(chunk_id):
            world.facts.lose(world.clock.seconds(), computer.peer_id, chunk_id, DROPPED)
    for chunk_id in sorted(copies.held - present):
        copies.forget(chunk_id)
    copies.in_doubt.clear()
    copies.files_in_doubt.clear()
    for chunk_id in sorted(present):
        [outcome] = storage.store.get([chunk_id])
        if outcome.body is None and chunk_id not in copies.damaged:
            world.break_promise(2, f"{name} has {chunk_id} in its index, and its bytes are not there")
        elif outcome.body is None or not world.facts.is_right(chunk_id, bytes(outcome.body)):
            copies.damaged.add(chunk_id)
        copies.held.add(chunk_id)
