"""The front door: everything behind ./umka."""
