"""Networks of genotypes in PyTorch: operations, cells, the network that mixes all operations, and their training."""
