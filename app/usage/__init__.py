"""The use of owners and tenants, and its limits: counted, shown, kept, compared.

Announcing reserves what a file may come to (`app.db.reserve`), and each move that ends an upload or
a file notes it (`app.db.usage_changes`); here is the rest. A level, of owners or of tenants, is
counted where the settings limit anything at it. Imports what is below the use cases.
"""
