"""Fetching: the files of a source, brought to the data home and known to be right there."""
