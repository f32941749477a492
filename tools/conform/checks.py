"""A check: one thing that a right peer does, and the rule of SPEC.md that says so."""

from attrs import frozen

SECTIONS = {
    1: "Terms",
    2: "Message format",
    3: "Chunk backup",
    4: "Chunk restore",
    5: "File deletion",
    6: "Space reclaiming",
    7: "Commands",
    12: "Interoperability",
}
"""The sections of SPEC.md that can be seen from outside a peer, and their titles."""


@frozen
class Check:
    """One thing to find out about a peer."""

    rule: str
    """The number of the rule in SPEC.md, such as 3.12."""
    says: str
    """What a right peer does, as the end of a sentence that begins with "It"."""
    is_ours: bool = False
    """Whether SPEC.md marks it *Ours*: good to have, but not needed to understand one another."""

    @property
    def section(self) -> int:
        """The section of SPEC.md."""
        return int(self.rule.partition(".")[0])

    @property
    def order(self) -> tuple[int, int]:
        """Sorts as the rules stand in SPEC.md."""
        section, _, number = self.rule.partition(".")
        return int(section), int(number)
