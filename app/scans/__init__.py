"""Scan files for malware, and keep what is not clean in quarantine.

Verdicts come from clamd, which a worker sends the pinned version of each file; from the tags that
AWS GuardDuty puts on objects; from any other scanner, by the API; or from staff. `app.files.links`
refuses links by them. Imports `uploads`, which deletes objects, and what is below; no HTTP.
"""
