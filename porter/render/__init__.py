"""Results as JSON documents and as text on a terminal."""
