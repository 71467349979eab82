"""What workers are made of: how they start, what they are sent, what they report."""
