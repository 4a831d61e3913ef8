"""Where the dbt project is."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
"""The directory with dbt_project.yml: the clone that the package is installed from."""
