"""Local services: start them, watch them, stop them."""
