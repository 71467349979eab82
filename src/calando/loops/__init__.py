"""calando in other people's training loops."""
