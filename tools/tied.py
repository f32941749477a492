"""Runs a command that doesn't outlive who started it, however that ends: kill -9 too.

    python tools/tied.py <process id of who starts it> <command> [<argument> …]

A program between the two, since what Python offers to run in a new process before the command (`preexec_fn`) isn't
safe where there are threads.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1


def tied(command: Sequence[str]) -> list[str]:
    """The command that runs `command`, under the same process id, for as long as this process lives."""
    return [sys.executable, "-E", "-S", __file__, str(os.getpid()), *command]


def main() -> None:
    """Ask Linux to kill this process when its parent ends, and become the command."""
    parent, *command = sys.argv[1:]
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        # It ended before it could be asked for.
        sys.exit(1)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
