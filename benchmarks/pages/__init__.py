"""The tables of results in the documents, a module a subject; `benchmarks/tables.py` puts them in."""
