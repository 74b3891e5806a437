"""Side-by-side measurements: `make bench`. README.md says how to read them."""
