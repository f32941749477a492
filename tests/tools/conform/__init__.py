"""The conformance test: that it finds nothing wrong with our own peer, and every fault of wrong ones."""
