"""nothing.py: starts and ends, to see what start-up takes."""
