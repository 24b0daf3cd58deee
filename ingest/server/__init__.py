"""A Neo4j server that the atlas installs, starts and stops itself, without Docker or root."""
