"""Differentiable architecture search (DARTS), with guards against its collapse to skip connections."""
