"""The admin panel at /admin, for staff: an extra (`admin`) that can be deleted.

Its views call the use cases that the API calls; of its own it has only sign-in, sessions and pages
(starlette-admin). `upload_field` is a field for any starlette-admin, and imports nothing of `app`.

It may import the rooms below it; only `main` imports it, and only where the panel is on.
"""
