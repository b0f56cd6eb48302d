"""Small charts as inline SVG, which read on light and dark pages and need no script, with their values as a table."""
