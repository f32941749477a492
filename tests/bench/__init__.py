"""What the peers reach, beside what the network, the disk and other programs reach in the same run on the same data.

``make bench`` runs it: real ``twistd`` peers, real multicast, real disks. A *ground* is the network that a run
stands on, a *scenario* what is done there, a *worker* a process that does one thing and measures it.
"""
