"""Notebooks under other parameters than the committed ones, and what their pages then say."""
