"""Records: one a finished run, in a folder or at a URL, and the committed files."""
