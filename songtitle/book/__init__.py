"""The book: its pages run, built, printed, handed out as a course and shown in a browser."""
