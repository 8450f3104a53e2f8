"""How fast the trainer is, against a plain loop, JAX and a loop in C++ (`python -m benchmarks`)."""
