"""What runs hold as files of tables, for other programs."""
