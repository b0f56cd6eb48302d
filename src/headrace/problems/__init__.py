"""Problems that come with Headrace, and the way to a user's own: `catalogue.load_problem`."""
