"""`/api/v1/security`: where the 1.x plugin's clients get their tokens."""
