"""The content of a file that has holes, as the usual file systems keep it: in blocks, a hole taking none."""

from __future__ import annotations

from attrs import define, field

BLOCK = 4_096
_ZEROS = bytes(BLOCK)


@define(eq=False)
class SparseBytes:
    """A file's bytes. What was never written, or was punched, reads as zeros and takes no block."""

    size: int = 0
    blocks: dict[int, bytes] = field(factory=dict)
    """Each of BLOCK bytes."""

    @classmethod
    def of(cls, content: bytes) -> SparseBytes:
        """A file with that content and no holes."""
        made = cls()
        made.write(0, content)
        return made

    @property
    def taken_bytes(self) -> int:
        """What it takes of the disk."""
        return len(self.blocks) * BLOCK

    def copy(self) -> SparseBytes:
        """Another that changes by itself."""
        return SparseBytes(self.size, dict(self.blocks))

    def read(self, offset: int, length: int) -> bytes:
        """So many bytes, or fewer at the end."""
        end = min(offset + length, self.size)
        if end <= offset:
            return b""
        first = offset // BLOCK
        numbers = range(first, (end - 1) // BLOCK + 1)
        joined = b"".join(self.blocks.get(number, _ZEROS) for number in numbers)
        return joined[offset - first * BLOCK : end - first * BLOCK]

    def missing_bytes(self, offset: int, length: int) -> int:
        """How much more of the disk it will take when so many bytes are written there."""
        numbers = range(offset // BLOCK, -(-(offset + length) // BLOCK))
        return sum(number not in self.blocks for number in numbers) * BLOCK

    def write(self, offset: int, data: bytes) -> None:
        """Write over what is there, and beyond the end."""
        end = offset + len(data)
        place = offset
        while place < end:
            number, start = divmod(place, BLOCK)
            part = data[place - offset : place - offset + BLOCK - start]
            if len(part) < BLOCK:
                old = self.blocks.get(number, _ZEROS)
                self.blocks[number] = old[:start] + part + old[start + len(part) :]
            else:
                self.blocks[number] = bytes(part)
            place += len(part)
        if data:
            self.size = max(self.size, end)

    def punch(self, offset: int, length: int) -> None:
        """Make a hole; the size stays."""
        for number in [number for number in self.blocks if offset <= number * BLOCK < offset + length]:
            if (number + 1) * BLOCK <= offset + length:
                del self.blocks[number]
        end = min(offset + length, self.size)
        for start, stop in ((offset, -(-offset // BLOCK) * BLOCK), (max(offset, end // BLOCK * BLOCK), end)):
            if start < min(stop, end) and start // BLOCK in self.blocks:
                self.write(start, bytes(min(stop, end) - start))

    def truncate(self, size: int) -> None:
        """Cut it, or let it end with a hole."""
        if size < self.size:
            for number in [number for number in self.blocks if number * BLOCK >= size]:
                del self.blocks[number]
            if size // BLOCK in self.blocks:
                kept = self.blocks[size // BLOCK][: size % BLOCK]
                self.blocks[size // BLOCK] = kept + bytes(BLOCK - len(kept))
        self.size = size

    def next_data(self, offset: int) -> tuple[int, int] | None:
        """The first part from the offset on that is no hole, as IFile has it."""
        numbers = sorted(number for number in self.blocks if (number + 1) * BLOCK > offset)
        if not numbers or offset >= self.size:
            return None
        end = numbers[0] + 1
        while end in self.blocks:
            end += 1
        return max(offset, numbers[0] * BLOCK), min(end * BLOCK, self.size)
