"""What tests stand on: clocks, a network and a disk in memory, strategies."""
