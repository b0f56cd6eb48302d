"""Tables as histories: columns with known times, keys, row versions, labels."""
