"""Studies: spaces, searchers, the trial journal, and the loop that runs trials in processes."""
