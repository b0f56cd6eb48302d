"""The worth of a refresh: what the champion's recipe gains when it is refitted on newer rows. Pure functions."""
