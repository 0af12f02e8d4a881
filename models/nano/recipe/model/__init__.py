"""The networks of nano in PyTorch."""
