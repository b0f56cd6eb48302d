"""How rows are validated: random, grouped or time-ordered folds; guessed from the data, with the reason."""
