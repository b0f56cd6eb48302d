"""Tests that stay valid however often they are looked at, from series of observations, for rollouts of challengers."""
