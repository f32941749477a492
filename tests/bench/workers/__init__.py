"""Processes that do one thing each: they say that they are ready, wait to be told, and print one object."""
