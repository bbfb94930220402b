"""The warehouse: Delta tables, the DuckDB catalogue over them, table schemas, content hashes, atomic files."""
