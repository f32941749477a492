"""The snoop: what it shows of a group's traffic, and what it makes of it."""
