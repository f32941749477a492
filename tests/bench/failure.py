"""What ends a run."""


class BenchFailure(Exception):
    """Something that was to be measured can't be; one sentence says what and why."""
