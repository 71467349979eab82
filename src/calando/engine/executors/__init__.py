"""Executors: inline and processes, behind one protocol."""
