"""Benchmarks: each a module that prints a table, see NOTES.md."""
