"""The dashboards: their definition, which Grafana shares, and the live page."""
