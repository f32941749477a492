"""Tests with real `twistd` processes on hosts of their own: network namespaces, joined by a bridge at MTU 1500."""
