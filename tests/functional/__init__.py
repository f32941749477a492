"""Tests with real `twistd` processes that speak real multicast on the loopback interface."""
