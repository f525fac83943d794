"""How sessions are played: what tests use of it is in `onward.testing`."""
