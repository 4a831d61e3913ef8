"""Faults inflicted on a pipeline under load, which must lose and duplicate nothing."""
