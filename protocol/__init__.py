"""The protocol of SPEC.md as values and pure functions: no clock, file, socket or chance of its own."""
