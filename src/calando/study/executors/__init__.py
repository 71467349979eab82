"""Executors: inline, processes and Ray, behind one protocol."""
