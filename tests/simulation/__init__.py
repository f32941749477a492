"""Whole groups of real peers in virtual time, on bad networks and bad disks, each run drawn from one seed."""
