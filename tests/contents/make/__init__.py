"""Makes the files of the corpus with real tools; see `build.py`."""
