"""The processes that write, read and delete, run one by one by tests.bench.started."""
