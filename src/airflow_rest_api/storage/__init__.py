"""Our tables in a database: reaching it, their columns, their migrations."""
