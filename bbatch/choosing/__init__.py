"""Which batch size? One answer for any model, the paper's Algorithm 2 (Section VI), and their evaluation."""
