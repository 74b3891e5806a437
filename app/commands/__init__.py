"""One file per command of `claimcheck`: its arguments, and how its outcome is printed.

Each has `add(commands)`, which `app.cli` calls. They share `parser`, `arguments`, `with_resources`,
`progress` and `tables`; `serve` and `dev` share `server`, and `supervisor` runs it in workers.
Imports everything below, and nothing imports it but `app.cli`.
"""
