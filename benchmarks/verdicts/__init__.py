"""How often a verdict is false, and what finds a true difference: simulated studies whose truth is known."""
