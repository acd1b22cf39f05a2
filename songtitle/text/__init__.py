"""Titles and captions made plain, and what happens to many of them on the way.

`cleaning` holds the rules for one text, `entities` the named entities and the dictionary of NLTK,
`funnel` both over many titles with a count at each step.
"""

from songtitle.text.cleaning import clean_caption, clean_title, tokenize
from songtitle.text.entities import english_words, named_entities

__all__ = ["clean_caption", "clean_title", "english_words", "named_entities", "tokenize"]
