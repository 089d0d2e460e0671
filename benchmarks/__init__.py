"""What things cost: ``python -m benchmarks`` measures beside other frameworks; each other file is a table."""
