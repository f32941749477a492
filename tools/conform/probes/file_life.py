"""The life of one file of the peer: backed up, repaired, restored, backed up again, and changed."""

from protocol.messages import Delete, PutChunk, Stored
from protocol.values import CHUNK_SIZE
from tools.conform.backups import WatchedBackup
from tools.conform.bench import Bench
from tools.conform.checks import Check
from tools.conform.commands import Command
from tools.conform.probe import Probe
from tools.conform.probes.file_restore import (
    RESTORE_CHECKS,
    deleted_by_another,
    restored,
    restored_with_trouble,
)
from tools.conform.wire import Entry

SIZE = 2 * CHUNK_SIZE
NAME = "life"

CUTS = Check(
    "1.6",
    "cuts a file into chunks of 64,000 bytes, numbered from 0, and a shorter last one, if need be empty",
)
NEW_ID = Check("1.5", "gives another version of a file another fileId")
SENDS = Check("3.1", "sends each chunk in a PUTCHUNK on MDB, with its bytes and the desired degree")
ENOUGH = Check("3.3", "sends a chunk once when as many distinct peers as desired say STORED")
SILENT_HOME = Check("3.8", "says no STORED for a chunk of its own file")
UNCHANGED = Check("3.29", "sends nothing when an unchanged file is backed up again", is_ours=True)
BURIES_OLD = Check("3.34", "deletes the older version once all of the new one is stored", is_ours=True)
REPAIRS = Check("6.5", "repairs a chunk of its own file when a holder says REMOVED", is_ours=True)


async def _life(bench: Bench) -> None:
    backup = await _backed_up(bench)
    if backup is None:
        return
    bench.home = backup
    await _repaired(bench, backup)
    can_restore = Command.RESTORE in bench.commands.known
    if can_restore:
        await restored(bench, backup)
        await restored_with_trouble(bench, backup)
    else:
        why = f"needs {Command.RESTORE.value}, or --access-point"
        bench.findings.not_reached(RESTORE_CHECKS, why)
    backup = await _again(bench, backup)
    if can_restore:
        await deleted_by_another(bench, backup)
    bench.home = await _changed(bench, backup)


async def _backed_up(bench: Bench) -> WatchedBackup | None:
    backup = _backup(bench, SIZE)
    backup.begin()
    if await backup.first() is None:
        backup.end()
        bench.findings.not_reached(LIFE_CHECKS, f"no PUTCHUNK followed the BACKUP {backup.complaint}".strip())
        return None
    await backup.all_sent()
    chunks = backup.file.chunks
    numbers = sorted({_putchunk(entry).chunk_no for entry in backup.putchunks})
    lengths = [len(_putchunk(backup.attempts(number)[0]).body) for number in numbers]
    bench.findings.judge(
        CUTS,
        (numbers, lengths) == (list(range(len(chunks))), [len(chunk) for chunk in chunks]),
        f"{SIZE:,} bytes became chunks {numbers} of {lengths} bytes",
        backup.putchunks,
    )
    wrong = [entry for entry in backup.putchunks if not _is_right(entry, backup)]
    bench.findings.judge(
        SENDS, not wrong, "another group, other bytes or another degree", wrong or backup.putchunks
    )
    repeated = [number for number in numbers if len(backup.attempts(number)) > 1]
    bench.findings.judge(
        ENOUGH, not repeated, f"it repeated {repeated}", backup.story(*(repeated or numbers[:1]))
    )
    stored = [entry for number in numbers for entry in bench.heard_about(Stored, backup.chunk_id(number))]
    bench.findings.judge(SILENT_HOME, not stored, "it said STORED", stored or backup.putchunks)
    return backup


async def _repaired(bench: Bench, backup: WatchedBackup) -> None:
    sent = bench.say(bench.removed(backup.chunk_id(0), voice=1))
    repair = await bench.hear(PutChunk, backup.chunk_id(0), within=2.5, since=sent.number)
    bench.findings.judge(REPAIRS, repair is not None, "no PUTCHUNK came", bench.story(backup.chunk_id(0)))
    await bench.pause(0.8)


async def _again(bench: Bench, backup: WatchedBackup) -> WatchedBackup:
    """The same file, unchanged, once more; gives the version that counts from then on."""
    again = WatchedBackup(bench=bench, file=backup.file, degree=2, answer=lambda _chunk, _count: None)
    again.answer = again.said_by(0, 1)
    mark = bench.wire.mark
    again.begin()
    await bench.begun(lambda: bool(again.putchunks) or again.is_ended, lambda: again.is_ended)
    await bench.pause(3.0)
    sent = [
        entry
        for entry in bench.wire.since(mark)
        if not entry.is_sent
        and isinstance(entry.content, PutChunk)
        and entry.content.file_id in (backup.file_id, again.file_id)
    ]
    bench.findings.judge(UNCHANGED, not sent, f"it sent {len(sent)} PUTCHUNKs", sent or backup.putchunks)
    if again.file_id is None or again.file_id == backup.file_id:
        again.end()
        return backup
    backup.end()
    return again


async def _changed(bench: Bench, backup: WatchedBackup) -> WatchedBackup:
    changed = _backup(bench, CHUNK_SIZE + 1)
    mark = bench.wire.mark
    changed.begin()
    if await changed.first() is None:
        changed.end()
        bench.findings.failed(NEW_ID, f"it sent nothing of a changed file {changed.complaint}".strip())
        return backup
    bench.findings.judge(
        NEW_ID, changed.file_id != backup.file_id, "it is that of the version before", changed.putchunks
    )
    deleted = await bench.wire.heard(
        lambda entry: isinstance(entry.content, Delete) and entry.content.file_id == backup.file_id,
        within=6.0,
        since=mark,
    )
    bench.findings.judge(
        BURIES_OLD, deleted is not None, "no DELETE came", backup.putchunks[:1] + changed.putchunks
    )
    backup.end()
    return changed


def _backup(bench: Bench, size: int) -> WatchedBackup:
    backup = WatchedBackup(
        bench=bench, file=bench.folder.make(NAME, size), degree=2, answer=lambda _chunk, _count: None
    )
    backup.answer = backup.said_by(0, 1)
    return backup


def _is_right(entry: Entry, backup: WatchedBackup) -> bool:
    message = _putchunk(entry)
    chunks = backup.file.chunks
    return (
        "MDB" in entry.group
        and message.replication_degree == backup.degree
        and message.chunk_no < len(chunks)
        and message.body == chunks[message.chunk_no]
    )


def _putchunk(entry: Entry) -> PutChunk:
    message = entry.said(PutChunk)
    assert message is not None
    return message


LIFE_CHECKS = (CUTS, NEW_ID, SENDS, ENOUGH, SILENT_HOME, UNCHANGED, BURIES_OLD, REPAIRS, *RESTORE_CHECKS)

PROBES = (Probe(run=_life, checks=LIFE_CHECKS, needs=frozenset({Command.BACKUP})),)
