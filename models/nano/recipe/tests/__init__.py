"""python -m unittest, from models/nano: seconds on a CPU, without weights."""
