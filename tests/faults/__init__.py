"""A pipeline under load, what is done to it, and whether it holds all of it after."""
