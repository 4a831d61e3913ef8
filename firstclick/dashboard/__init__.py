"""The dashboards: their definition, which Grafana uses as well, and the live page."""
