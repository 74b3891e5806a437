"""What the service is measured against. Each peer answers the same request as well as it can."""
