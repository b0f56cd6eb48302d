"""Training of networks with PyTorch: its import, the device, losses, and a loop that keeps a time budget."""
