"""What the plugin leaves behind in databases and on this machine, and its removal."""
