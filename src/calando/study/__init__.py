"""The engine: from a question to finished runs."""
