"""Loaders, one module a source: each reads what the source holds, as it is, in a fixed order."""
