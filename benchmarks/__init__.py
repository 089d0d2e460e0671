"""What things cost: each file a table, run as python -m benchmarks.NAME."""
