"""The remote interface of a peer: what a command, or any other client, may import of it."""
