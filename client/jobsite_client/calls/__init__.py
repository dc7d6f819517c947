"""What `Client` and `AsyncClient` can call. Each method is one definition, a description of its request."""
