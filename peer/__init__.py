"""The peer: the protocol and the storage put to work on a multicast group, with Twisted."""
