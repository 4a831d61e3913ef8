"""The live page: it draws Grafana's dashboards in a browser and pushes new values.

`python -m firstclick.dashboard.server` serves it. `board` queries each panel once,
however many people look at it; `web` has the routes; `static` draws in the browser.
"""
