"""The pure heart of Onward: no I/O, no clock, no randomness, no environment."""
