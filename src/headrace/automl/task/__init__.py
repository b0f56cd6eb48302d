"""What is predicted and how it is measured: the kind of the target, its encoding, metrics with a direction."""
