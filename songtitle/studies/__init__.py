"""What the pages of the book show: one module a page, its tables, figures and sentences."""
