"""Open Library dumps to semantic search over book covers, as a Dagster asset graph."""
