"""What a notebook shows: figures, tables, the data of the explorer."""
