"""Starting, stopping and watching a pipeline, and keeping its data safe."""
