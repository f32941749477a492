"""Probes anybody's peer of this protocol, and reports which rules of SPEC.md it keeps.

    python -m tools.conform [options]

docs/conform.md tells how to use it and how to read what it reports.

    checks      what a right peer does, one sentence each, with the rule that says so
    findings    what was found about each check
    wire        the record of every datagram sent and heard, and waiting for one
    bench       what a probe works with: the wire, ids, chunks, commands
    probes/     the scenarios, each of which finds something out about some checks
    plan        which probes run, in which order, and which are left out and why
    report      the findings as text, JSON and JUnit XML
"""
