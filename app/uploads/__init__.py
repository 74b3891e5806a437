"""From an announcement to a file, and back: announce, sign, confirm, verify, join parts, remove.

Each use case is one function that reads from top to bottom. `rules` makes a row of an announcement,
`verify` a file of an object, unless `objections` has a reason to reject it. Imports `records`,
which a confirmed file may go into, and what is below; no HTTP.
"""
