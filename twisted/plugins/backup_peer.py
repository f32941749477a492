"""Tells `twistd` of its subcommand `backup-peer`."""

from twisted.application.service import ServiceMaker

backup_peer = ServiceMaker(
    "backup-peer",
    "peer.tap",
    "A peer that keeps chunks of others' files, and has others keep chunks of its own",
    "backup-peer",
)
