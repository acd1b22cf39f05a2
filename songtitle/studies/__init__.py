"""What pages of the book show: tables, figures and sentences, a module a page or a few."""
