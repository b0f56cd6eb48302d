"""The language of features: definitions, kinds of columns and values, and the Engine protocol."""
