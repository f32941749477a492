"""What a chunk store does beside what its disk gives: ``make bench-store`` (see docs/storage.md)."""
