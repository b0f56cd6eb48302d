"""The page `/` of the prediction API: the state of a problem in production, and what people do about it."""
