"""All settings: parsed once, from the environment and a TOML file, and explained when wrong.

`model` has the settings and the checks across them, `sources` reads them, `values` has the types of
single ones, `messages` the words for wrong ones. Imports `core`.
"""
