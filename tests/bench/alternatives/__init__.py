"""What a user would take instead, where it is installed: each ends with its bytes synced, as our peers do."""

from tests.bench.alternatives.alternative import Alternative
from tests.bench.alternatives.restic import Restic
from tests.bench.alternatives.rsync import Rsync
from tests.bench.alternatives.tahoe import TahoeLafs
from tests.bench.alternatives.uftp import Uftp

ALTERNATIVES: tuple[Alternative, ...] = (Rsync(), Uftp(), Restic(), TahoeLafs())
