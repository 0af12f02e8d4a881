"""How nano is made: data with their truth, training, scores. README.md has the commands."""
