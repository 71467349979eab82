"""Probes: measurements on a training that leave it as it was, to the bit."""
