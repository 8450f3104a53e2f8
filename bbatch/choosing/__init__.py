"""Which batch size? Algorithm 2 of the paper (Section VI) and a measured alternative, for any model, and their evaluation."""
