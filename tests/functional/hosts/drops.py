"""What a host's interface loses: classic BPF programs that `tc` runs on everything that comes in.

By these and not by `netem`, which many kernels are built without. A datagram in fragments is lost as a whole, as by
a receiver that is too slow: a lost fragment would also hold memory for reassembly, which is another subject.
"""

from typing import Final

PASS: Final = 0
DROP: Final = 2
"""TC_ACT_OK and TC_ACT_SHOT."""

DROP_EVERYTHING: Final = f"1,6 0 0 {DROP},"

_IPV4 = 0x0800
_UDP = 17
_IS_FRAGMENT = 0x3FFF
"""In the field of flags and offset: more fragments follow, or this isn't the first."""
_RANDOM = 2**32 - 0x1000 + 56
"""SKF_AD_OFF + SKF_AD_RANDOM: 32 random bits, for whoever reads a word at this offset."""
_GOLDEN = 40_503
"""2^16 divided by the golden ratio: numbers that follow each other are spread evenly by it."""


def drop_some(share: float) -> str:
    """The program that loses this share of the UDP datagrams, each with all its fragments, or none."""
    # (code, jump if true, jump if false, operand), the jumps to a label.
    lines: list[tuple[int, str, str, int]] = [
        (_LOAD_HALF, "", "", 12),
        (_JUMP_EQUAL, "", "pass", _IPV4),
        (_LOAD_BYTE, "", "", 23),
        (_JUMP_EQUAL, "", "pass", _UDP),
        (_LOAD_HALF, "", "", 20),
        (_JUMP_SET, "in fragments", "", _IS_FRAGMENT),
        (_LOAD_WORD, "", "", _RANDOM),
        (_JUMP_LESS_NOT, "pass", "drop", int(share * 2**32)),
        # All fragments of a datagram have the same identification, and the next datagram another.
        (_LOAD_HALF, "", "", 18),
        (_MULTIPLY, "", "", _GOLDEN),
        (_AND, "", "", 0xFFFF),
        (_JUMP_LESS_NOT, "pass", "drop", int(share * 2**16)),
        (_RETURN, "", "", DROP),
        (_RETURN, "", "", PASS),
    ]
    labels = {"in fragments": 8, "drop": 12, "pass": 13}
    words = [
        f"{code} {labels[yes] - place - 1 if yes else 0} {labels[no] - place - 1 if no else 0} {operand}"
        for place, (code, yes, no, operand) in enumerate(lines)
    ]
    return f"{len(words)}," + ",".join(words) + ","


_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE = 0x20, 0x28, 0x30
_JUMP_EQUAL, _JUMP_LESS_NOT, _JUMP_SET = 0x15, 0x35, 0x45
_MULTIPLY, _AND, _RETURN = 0x24, 0x54, 0x06
