"""The file of the peer deleted, and what becomes of its id afterwards (SPEC.md 5.1, 5.8, 5.9)."""

from protocol.messages import Delete, Stored
from protocol.timing import DELETE_AGAIN_SPACING
from tools.conform.bench import SILENCE, Bench
from tools.conform.checks import Check
from tools.conform.commands import Command, CommandFailure
from tools.conform.probe import Probe
from tools.conform.statistics import fault_of_waits
from tools.conform.wire import Entry

SAYS_DELETE = Check("5.1", "says DELETE on MC")
THRICE = Check("5.1", "says DELETE three times, 1 s apart", is_ours=True)
DEAD_NOT_STORED = Check("5.8", "stores nothing for a file that it has deleted", is_ours=True)
SAYS_AGAIN = Check(
    "5.9", "says DELETE again when it hears STORED for a file that it has deleted", is_ours=True
)
NOT_TOO_OFTEN = Check("5.9", "says that DELETE again at most once in 2 s", is_ours=True)


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


PROBES = (
    Probe(
        run=_deleted,
        checks=(SAYS_DELETE, THRICE, SAYS_AGAIN, NOT_TOO_OFTEN, DEAD_NOT_STORED),
        needs=frozenset({Command.BACKUP, Command.DELETE}),
    ),
)
