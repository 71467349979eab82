"""calando in other people's training loops: schedulers that a loop steps, attach and follow, which it need not."""
