"""How good are the ways to choose a batch size? Problems, ways, and the tables of what each gave."""
