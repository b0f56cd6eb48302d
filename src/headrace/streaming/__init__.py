"""Events into the lake and into served features: `POST /events` of the API, and consumers of a message log."""
