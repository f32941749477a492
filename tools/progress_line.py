"""One line on a terminal that says how far something has come."""

from typing import TextIO

from peer.control.interfaces import Progress

_WIDTH = 30
_CLEAR = "\r\x1b[K"


class ProgressLine:
    """A ProgressListener that redraws its line on `terminal`, unless that is none or it isn't wanted."""

    def __init__(self, terminal: TextIO, title: str, *, is_wanted: bool = True) -> None:
        self._terminal = terminal
        self._title = title
        self._is_shown = False
        self._is_wanted = is_wanted and terminal.isatty()

    def __call__(self, progress: Progress) -> None:
        """Draw how far it has come."""
        if self._is_wanted:
            self._terminal.write(_CLEAR + drawn(self._title, progress))
            self._terminal.flush()
            self._is_shown = True

    def clear(self) -> None:
        """Leave the line empty for what comes next."""
        if self._is_shown:
            self._terminal.write(_CLEAR)
            self._terminal.flush()
            self._is_shown = False


def drawn(title: str, progress: Progress) -> str:
    """The line, without an end."""
    share = min(progress.done / progress.total, 1.0) if progress.total else 1.0
    bar = "#" * int(share * _WIDTH)
    return f"{title} [{bar:.<{_WIDTH}}] {share:4.0%}  {progress.done:,} of {progress.total:,} {progress.unit}"
