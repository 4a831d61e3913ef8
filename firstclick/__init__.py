"""Real-time first-click attribution as streaming SQL: the command line and runtime."""
