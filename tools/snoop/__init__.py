"""Shows the traffic of a group, decoded: who says what to whom, and how long chunks take to their degree.

    python -m tools.snoop [options]

It joins the groups and listens; it never sends anything.
"""
