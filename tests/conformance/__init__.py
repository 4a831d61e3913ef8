"""Whether a pipeline, on whichever engine, holds what the specification says."""
