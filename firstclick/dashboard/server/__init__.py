"""The live page: Grafana's dashboards drawn in a browser, their values pushed.

`python -m firstclick.dashboard.server` serves it. `board` asks the database, each panel
once whatever the number of viewers; `web` is what a browser may ask for; `static`
draws.
"""
