"""Execute the notebooks, build the book, print it, and say where everything came from."""
