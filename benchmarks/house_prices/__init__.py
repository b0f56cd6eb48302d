"""The study of house prices: its table, its contestants, and its page."""
