"""Tables as users have them: read, checked, and converted to columns of known kinds."""
