"""What `calando tune` is judged on: cases, the table of truth, whole runs of the product, and rivals."""
