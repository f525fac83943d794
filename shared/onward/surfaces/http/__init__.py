"""The HTTP API: who asks and may they, then one call of the library, then its answer as JSON or as live events."""
