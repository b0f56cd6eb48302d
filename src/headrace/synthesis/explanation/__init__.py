"""What a feature means in words, and how its value at one row comes about."""
