"""The console: pages for people who watch, decide and repair sessions. Each is made on the server, and whole without
scripts."""
