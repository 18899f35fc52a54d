"""What was asked, what came out: one operation for each command that runs."""
