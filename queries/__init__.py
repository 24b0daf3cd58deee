"""The Cypher library: one statement a file, whose header is its contract."""
