"""What stands in for services on a laptop and in tests. Never imported by the library."""
