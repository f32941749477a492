"""At home among other people's peers: every row of what they were seen to do (SPEC.md 12), by their letters."""
