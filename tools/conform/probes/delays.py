"""The response delays: U(0, 400 ms), drawn afresh for every STORED and CHUNK (SPEC.md 1.11, 3.2, 4.2)."""

from protocol.messages import Chunk
from tools.conform.bench import Bench
from tools.conform.checks import Check
from tools.conform.probe import Probe
from tools.conform.statistics import described, fault_of_delays

SAMPLES = 120
"""Chunks measured. A right peer fails with a probability of 10^-9 whatever this is; a wrong one must be far off."""

APART = 0.025
"""Seconds between them: 8 answers are due at a time, which few threads can hold back."""

STORED_DELAY = Check("3.2", "waits U(0, 400 ms) before STORED, or until the chunk is durable")
CHUNK_DELAY = Check("4.2", "waits U(0, 400 ms) before CHUNK")


async def _delays(bench: Bench) -> None:
    held = await bench.hold(SAMPLES, apart=APART)
    delays = [chunk.delay for chunk in held if chunk.delay is not None]
    _judge(bench, STORED_DELAY, delays, [chunk.stored.number for chunk in held[:5]])
    asked = await bench.say_each((bench.getchunk(chunk.chunk_id) for chunk in held), spacing=APART)
    await bench.pause(2.0)
    answers = []
    for chunk, question in zip(held, asked, strict=True):
        heard = bench.heard_about(Chunk, chunk.chunk_id, since=question.number)
        if heard:
            answers.append((heard[0].at - question.at, heard[0].number))
    _judge(bench, CHUNK_DELAY, [delay for delay, _ in answers], [number for _, number in answers[:5]])


def _judge(bench: Bench, check: Check, delays: list[float], shown: list[int]) -> None:
    evidence = [entry for entry in bench.wire.since() if entry.number in shown]
    if len(delays) < SAMPLES // 2:
        bench.findings.failed(check, f"only {len(delays)} of {SAMPLES} were answered", evidence)
        return
    fault = fault_of_delays(delays)
    if fault:
        bench.findings.failed(check, f"{fault} ({described(delays)})", evidence)
    else:
        bench.findings.passed(check, evidence, described(delays))


PROBES = (Probe(run=_delays, checks=(STORED_DELAY, CHUNK_DELAY)),)
