"""Starting the workers and the servers of a run, none of which outlives it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from attrs import define

from tests.bench.failure import BenchFailure
from tests.bench.workers.talk import READY
from tools.peer_process import PROJECT
from tools.tied import tied

STOP_SECONDS = 30.0


def environment(**more: str) -> Mapping[str, str]:
    """What every process of a run finds: this checkout before anything that is installed."""
    return os.environ | {"PYTHONPATH": str(PROJECT)} | more


@define
class Worker:
    """A worker that runs."""

    _name: str
    _process: "subprocess.Popen[str]"

    def await_ready(self) -> None:
        """Wait until it has prepared everything."""
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != READY:
            self._fail(self._process.communicate()[1])

    def proceed(self, word: str = "go") -> None:
        """Say the word that it waits for, if it still does."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            print(word, file=self._process.stdin, flush=True)

    def result(self, seconds: float) -> dict[str, Any]:
        """What it has measured, once it ends; BenchFailure if that takes longer than so many seconds."""
        try:
            out, err = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise BenchFailure(f"{self._name} was not done after {seconds:.0f} s") from None
        if self._process.returncode:
            self._fail(err)
        result: dict[str, Any] = json.loads(out)
        return result

    def end(self) -> None:
        """See that it is gone."""
        self._process.kill()
        self._process.communicate()

    def _fail(self, err: str) -> None:
        last = err.strip().split("\n")[-1]
        raise BenchFailure(f"{self._name} failed: {last or 'it said nothing'}")


@contextmanager
def worker(
    name: str, *arguments: object, inside: Sequence[str] = (), package: str = "tests.bench.workers"
) -> Iterator[Worker]:
    """Run the package's module of that name, by the command `inside` if there is one, until the end of the block."""
    module = f"{package}.{name}"
    command = [*inside, sys.executable, "-m", module, *map(str, arguments)]
    running = Worker(
        name,
        subprocess.Popen(
            tied(command),
            cwd=PROJECT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ),
    )
    try:
        yield running
    finally:
        running.end()


def all_ready(workers: Sequence[Worker]) -> None:
    """Wait until each of them has prepared everything."""
    for each in workers:
        each.await_ready()


@contextmanager
def server(command: Sequence[str], *, folder: Path, **more: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server of another program until the end of the block; what it says goes to a file in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        output = held.enter_context((folder / "output").open("ab"))
        process = subprocess.Popen(
            tied(command),
            cwd=folder,
            env=environment(HOME=str(folder), **more),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            finally:
                process.kill()
                process.wait()


def run_together(commands: Sequence[Sequence[str]], *, folder: Path, seconds: float, **more: str) -> None:
    """Run commands of another program at the same time; BenchFailure if one fails, or doesn't end in time."""
    with ExitStack() as held:
        running = [held.enter_context(server(command, folder=folder, **more)) for command in commands]
        for command, process in zip(commands, running, strict=True):
            try:
                status = process.wait(seconds)
            except subprocess.TimeoutExpired:
                raise BenchFailure(f"{Path(command[0]).name} was not done after {seconds:.0f} s") from None
            if status:
                raise BenchFailure(f"{' '.join(command)} failed: {last_line(folder / 'output')}")


def last_line(path: Path) -> str:
    """The last that a program has said."""
    lines = path.read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
