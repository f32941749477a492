"""The scenarios, by what they find out about."""
