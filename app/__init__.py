"""Claimcheck: uploads straight from the browser into a private S3 bucket."""
