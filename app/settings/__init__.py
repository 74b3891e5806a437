"""All settings: parsed once, from the environment and a TOML file, and explained when wrong.

`model` has them, `sources` where they come from, `values` what they may be, `messages` what is said
of wrong ones. Imports `core`.
"""
