"""Transform primitives, one file a family."""
