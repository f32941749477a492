"""The file of the peer restored: undisturbed, with chunks missing and damaged, and with nobody who answers."""

from protocol.messages import Delete
from protocol.timing import ATTEMPT_WAITS
from protocol.values import CHUNK_SIZE
from tools.conform.backups import WatchedBackup
from tools.conform.bench import Bench
from tools.conform.checks import Check
from tools.conform.commands import Command
from tools.conform.probe import Probe
from tools.conform.restores import WatchedRestore
from tools.conform.statistics import fault_of_waits

ASKS = Check("4.1", "asks for each chunk by GETCHUNK on MC")
ASKS_AGAIN = Check("4.3", "asks again after 1 s when no CHUNK came", is_ours=True)
GIVES_UP = Check("4.3", "asks after 1, 2, 4 and 8 s again, and then gives up", is_ours=True)
REFUSES_DAMAGED = Check("4.4", "throws away a CHUNK with other bytes, and asks again", is_ours=True)
MAKES_EMPTY = Check("4.5", "doesn't ask for an empty last chunk", is_ours=True)
RESTORES = Check("4.13", "restores the file as it was, byte for byte", is_ours=True)
KEEPS_FILE = Check("5.13", "keeps its file when another says DELETE for it", is_ours=True)

RESTORE_CHECKS = (ASKS, ASKS_AGAIN, REFUSES_DAMAGED, MAKES_EMPTY, RESTORES, KEEPS_FILE)


async def restored(bench: Bench, backup: WatchedBackup) -> None:
    """Restore it, with every answer right and in time."""
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
            f"its {len(content):,} bytes are not the {len(backup.file.content):,} of the original",
            restore.getchunks,
        )
    else:
        why = restore.complaint or "where the restored file is isn't known: --restored tells"
        bench.findings.not_reached([RESTORES], why)


async def restored_with_trouble(bench: Bench, backup: WatchedBackup) -> None:
    """Restore it when chunk 0 is not answered at first, chunk 1 with other bytes."""
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


async def deleted_by_another(bench: Bench, backup: WatchedBackup) -> None:
    """Say DELETE for it in another name, and see whether it can still be restored."""
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


def _restore(bench: Bench, backup: WatchedBackup) -> WatchedRestore:
    return WatchedRestore(bench=bench, backup=backup, answer=lambda _number, _count: None)


SLOW_PROBES = (
    Probe(
        run=_unanswered_restore,
        checks=(GIVES_UP,),
        needs=frozenset({Command.BACKUP, Command.RESTORE}),
        is_slow=True,
    ),
)
