"""One file per command of `claimcheck`: its arguments, and how its outcome is printed.

Each has `add(commands)`, which `app.cli` calls. Imports everything below, and nothing imports it
but `app.cli`.
"""
