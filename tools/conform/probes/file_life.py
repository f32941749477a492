"""The life of one file of the peer: backed up, repaired, restored, backed up again, changed, deleted."""

from protocol.messages import Delete, PutChunk, Stored
from protocol.timing import ATTEMPT_WAITS, DELETE_AGAIN_SPACING
from protocol.values import CHUNK_SIZE
from tools.conform.backups import WatchedBackup
from tools.conform.bench import SILENCE, Bench
from tools.conform.checks import Check
from tools.conform.commands import Command, CommandFailure
from tools.conform.probe import Probe
from tools.conform.restores import WatchedRestore
from tools.conform.statistics import fault_of_waits
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
ASKS = Check("4.1", "asks for each chunk by GETCHUNK on MC")
ASKS_AGAIN = Check("4.3", "asks again after 1 s when no CHUNK came", is_ours=True)
GIVES_UP = Check("4.3", "asks after 1, 2, 4 and 8 s again, and then gives up", is_ours=True)
REFUSES_DAMAGED = Check("4.4", "throws away a CHUNK with other bytes, and asks again", is_ours=True)
MAKES_EMPTY = Check("4.5", "doesn't ask for an empty last chunk", is_ours=True)
RESTORES = Check("4.13", "restores the file as it was, byte for byte", is_ours=True)
SAYS_DELETE = Check("5.1", "says DELETE on MC")
THRICE = Check("5.1", "says DELETE three times, 1 s apart", is_ours=True)
DEAD_NOT_STORED = Check("5.8", "stores nothing for a file that it has deleted", is_ours=True)
SAYS_AGAIN = Check(
    "5.9", "says DELETE again when it hears STORED for a file that it has deleted", is_ours=True
)
NOT_TOO_OFTEN = Check("5.9", "says that DELETE again at most once in 2 s", is_ours=True)
KEEPS_FILE = Check("5.13", "keeps its file when another says DELETE for it", is_ours=True)
REPAIRS = Check("6.5", "repairs a chunk of its own file when a holder says REMOVED", is_ours=True)


async def _life(bench: Bench) -> None:
    backup = await _backed_up(bench)
    if backup is None:
        return
    bench.home = backup
    await _repaired(bench, backup)
    if Command.RESTORE in bench.commands.known:
        await _restored(bench, backup)
        await _restored_with_trouble(bench, backup)
    else:
        _lacking(bench, Command.RESTORE, ASKS, ASKS_AGAIN, REFUSES_DAMAGED, MAKES_EMPTY, RESTORES, KEEPS_FILE)
    backup = await _again(bench, backup)
    if Command.RESTORE in bench.commands.known:
        await _deleted_by_another(bench, backup)
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


async def _restored(bench: Bench, backup: WatchedBackup) -> None:
    restore = _restore(bench, backup)
    restore.answer = lambda number, _count: restore.give(number, delay=bench.random.uniform(0.02, 0.35))
    restore.begin()
    if await restore.first() is None:
        restore.end()
        bench.findings.failed(ASKS, f"no GETCHUNK followed the RESTORE {restore.complaint}".strip())
        return
    content = await restore.content()
    restore.end()
    full = range(len(backup.file.chunks) - 1)
    missing = [number for number in full if not restore.attempts(number)]
    wrong = [entry for entry in restore.getchunks if "MC" not in entry.group]
    why = f"it never asked for {missing}" if missing else "it asked on another group"
    bench.findings.judge(ASKS, not missing and not wrong, why, wrong or restore.getchunks)
    asked = restore.attempts(len(full))
    bench.findings.judge(MAKES_EMPTY, not asked, "it asked for it", asked or restore.getchunks)
    if content is not None:
        bench.findings.judge(
            RESTORES,
            content == backup.file.content,
            f"the restored file has {len(content):,} bytes that are not those of the original, of {SIZE:,}",
            restore.getchunks,
        )
    else:
        why = restore.complaint or "where the restored file is isn't known: --restored tells"
        bench.findings.not_reached([RESTORES], why)


async def _restored_with_trouble(bench: Bench, backup: WatchedBackup) -> None:
    """Chunk 0 is not answered at first, chunk 1 with other bytes."""
    restore = _restore(bench, backup)
    damaged = bench.body(CHUNK_SIZE)

    def answer(number: int, count: int) -> None:
        if count == 1 and number == 1:
            restore.give(number, delay=0.1, body=damaged)
        elif count > 1 or number > 1:
            restore.give(number, delay=0.1)

    restore.answer = answer
    restore.begin()
    if await restore.first() is None:
        restore.end()
        return
    await bench.pause(4.0)
    restore.end()
    for number, check in ((0, ASKS_AGAIN), (1, REFUSES_DAMAGED)):
        asked = restore.attempts(number)
        evidence = bench.story(backup.chunk_id(number), since=restore.getchunks[0].number)
        if asked:
            why = fault_of_waits([entry.at for entry in asked[:2]], ATTEMPT_WAITS) or "it asked once"
            bench.findings.judge(check, len(asked) > 1 and why == "it asked once", why, evidence)


async def _again(bench: Bench, backup: WatchedBackup) -> WatchedBackup:
    """The same file, unchanged, once more; gives the version that counts from then on."""
    again = WatchedBackup(bench=bench, file=backup.file, degree=2, answer=lambda _chunk, _count: None)
    again.answer = again.said_by(0, 1)
    mark = bench.wire.mark
    again.begin()
    await bench.pause(3.5)
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


async def _deleted_by_another(bench: Bench, backup: WatchedBackup) -> None:
    assert backup.file_id is not None
    bench.say(bench.delete(backup.file_id, voice=3))
    await bench.pause(0.5)
    restore = _restore(bench, backup)
    restore.answer = lambda number, _count: restore.give(number, delay=0.05)
    restore.begin()
    asked = await restore.first()
    await bench.pause(2.0)
    restore.end()
    evidence = [entry for entry in backup.story() if isinstance(entry.content, Delete)] + restore.getchunks[
        :2
    ]
    bench.findings.judge(KEEPS_FILE, asked is not None, "it can't restore the file any more", evidence)


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


async def _unanswered_restore(bench: Bench) -> None:
    backup = bench.home
    if backup is None:
        return
    restore = _restore(bench, backup)
    restore.begin()
    if await restore.first() is None:
        restore.end()
        return
    await bench.pause(sum(ATTEMPT_WAITS) + 2.0)
    restore.end()
    asked = restore.attempts(0)
    fault = fault_of_waits([entry.at for entry in asked], ATTEMPT_WAITS)
    if not fault and len(asked) != len(ATTEMPT_WAITS):
        fault = f"it asked {len(asked)} times"
    bench.findings.judge(GIVES_UP, not fault, fault, asked)


async def _deleted(bench: Bench) -> None:
    backup = bench.home
    if backup is None or backup.file_id is None:
        return
    mark = bench.wire.mark

    def deletes() -> list[Entry]:
        return [
            entry
            for entry in bench.wire.since(mark)
            if not entry.is_sent
            and isinstance(entry.content, Delete)
            and entry.content.file_id == backup.file_id
        ]

    try:
        await bench.commands.delete(backup.file.path)
    except CommandFailure as failure:
        bench.findings.failed(SAYS_DELETE, str(failure))
        return
    await bench.wire.heard(lambda _entry: bool(deletes()), within=5.0, since=mark)
    await bench.pause(3.0)
    said = deletes()
    if not bench.findings.judge(SAYS_DELETE, bool(said), "it said none", said):
        return
    times = [entry.at for entry in said]
    fault = f"it said it {len(said)} times" if len(said) != 3 else fault_of_waits(times, (1.0, 1.0))
    bench.findings.judge(THRICE, not fault, fault, said)
    backup.end()
    # A home says it at most once in 2 s.
    await bench.pause(max(0.0, said[-1].at + DELETE_AGAIN_SPACING + 0.3 - bench.wire.now()))
    for _ in range(3):
        bench.say(bench.stored(backup.chunk_id(0)))
        await bench.pause(0.1)
    await bench.pause(SILENCE)
    again = deletes()[len(said) :]
    evidence = bench.story(backup.chunk_id(0), since=said[-1].number)
    bench.findings.judge(SAYS_AGAIN, bool(again), "it said nothing", evidence)
    if again:
        bench.findings.judge(
            NOT_TOO_OFTEN, len(again) == 1, f"it said it {len(again)} times in 1 s", evidence
        )
    body = backup.file.chunks[0]
    sent = bench.say(bench.putchunk(backup.chunk_id(0), body))
    stored = await bench.hear(Stored, backup.chunk_id(0), within=SILENCE, since=sent.number)
    evidence = bench.story(backup.chunk_id(0), since=sent.number)
    bench.findings.judge(DEAD_NOT_STORED, stored is None, "it said STORED", evidence)


def _backup(bench: Bench, size: int) -> WatchedBackup:
    backup = WatchedBackup(
        bench=bench, file=bench.folder.make(NAME, size), degree=2, answer=lambda _chunk, _count: None
    )
    backup.answer = backup.said_by(0, 1)
    return backup


def _restore(bench: Bench, backup: WatchedBackup) -> WatchedRestore:
    return WatchedRestore(bench=bench, backup=backup, answer=lambda _number, _count: None)


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


def _lacking(bench: Bench, command: Command, *checks: Check) -> None:
    bench.findings.not_reached(checks, f"needs {command.value} or --access-point")


LIFE_CHECKS = (
    CUTS,
    NEW_ID,
    SENDS,
    ENOUGH,
    SILENT_HOME,
    UNCHANGED,
    BURIES_OLD,
    ASKS,
    ASKS_AGAIN,
    REFUSES_DAMAGED,
    MAKES_EMPTY,
    RESTORES,
    KEEPS_FILE,
    REPAIRS,
)

PROBES = (Probe(run=_life, checks=LIFE_CHECKS, needs=frozenset({Command.BACKUP})),)

SLOW_PROBES = (
    Probe(
        run=_unanswered_restore,
        checks=(GIVES_UP,),
        needs=frozenset({Command.BACKUP, Command.RESTORE}),
        is_slow=True,
    ),
)

END_PROBES = (
    Probe(
        run=_deleted,
        checks=(SAYS_DELETE, THRICE, SAYS_AGAIN, NOT_TOO_OFTEN, DEAD_NOT_STORED),
        needs=frozenset({Command.BACKUP, Command.DELETE}),
    ),
)
