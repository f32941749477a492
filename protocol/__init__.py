"""The protocol of SPEC.md as values and functions: no clock, no randomness of its own, no file, no socket."""
