"""restic to as many repositories as there are holders, at the same time."""

from pathlib import Path
from shutil import which

from tests.bench.alternatives.alternative import Timing, patience, timed
from tests.bench.copies import check_copy
from tests.bench.ground import Ground
from tests.bench.started import run_together

_PASSWORD = "bench"


class Restic:
    """Its repositories are folders here: its network would be another program's."""

    name = "restic"
    package = "restic"

    def why_not(self, ground: Ground, source: Path) -> str | None:
        """See Alternative."""
        if which("restic") is None:
            return "not installed"
        return None if ground.is_loopback else "has no network of its own: see loopback"

    def measure(self, ground: Ground, source: Path, folder: Path) -> Timing:
        """See Alternative."""
        repositories = [folder / f"repository-{number}" for number in range(len(ground.holders))]
        seconds = patience(source)

        def run(commands: list[list[str]]) -> None:
            run_together(commands, folder=folder / "client", seconds=seconds, RESTIC_PASSWORD=_PASSWORD)

        def restic(repository: Path, *arguments: str) -> list[str]:
            return ["restic", "--quiet", "--no-cache", "--repo", str(repository), *arguments]

        run([restic(each, "init") for each in repositories])
        backup = timed(lambda: run([restic(each, "backup", str(source)) for each in repositories]), folder)
        restored = folder / "restored"
        fetching = restic(repositories[0], "restore", "latest", "--target", str(restored))
        restore = timed(lambda: run([fetching]), folder)
        check_copy(source, restored / source.relative_to("/"))
        return Timing(backup, restore)
