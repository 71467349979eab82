"""What runs are written to for other programs: files of tables, and trackers; each file of this folder holds one."""
