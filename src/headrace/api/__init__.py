"""HTTP around serving: endpoints translate and delegate."""
