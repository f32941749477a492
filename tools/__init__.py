"""The commands: clients of a peer that know of it only its remote interface."""
