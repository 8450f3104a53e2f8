"""Records: one a finished run, the committed files, and whether these are still what was recorded."""
