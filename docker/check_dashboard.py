#!/usr/bin/env python3
"""Runs every query of the Grafana dashboard against a Prometheus that has scraped a server which answered requests.

Fails where a query does not parse, and where a panel has nothing to show: a renamed metric or label would leave it empty.
Knows nothing of how the two servers were started; `docker/check.sh` does that. Standard library only.
"""

import argparse
import json
import math
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

DASHBOARD = Path(__file__).parent / "grafana/dashboards/coconut.json"
GRAFANA_VARIABLES = {"$instance": ".*", "$__rate_interval": "1m"}


def get(prometheus: str, path: str, **parameters: str) -> dict:
    url = f"{prometheus}{path}?{urllib.parse.urlencode(parameters)}"
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        return json.load(error)


def problem_with(prometheus: str, expression: str) -> str | None:
    for variable, value in GRAFANA_VARIABLES.items():
        expression = expression.replace(variable, value)
    answer = get(prometheus, "/api/v1/query", query=expression)
    if answer["status"] != "success":
        return answer["error"]
    values = [float(series["value"][1]) for series in answer["data"]["result"]]
    if not values:
        return "no series"
    # A quantile of no observations is not a number: the panel would be as empty as without a series.
    return "nothing but NaN" if all(math.isnan(value) for value in values) else None


def problem_with_variable(prometheus: str, query: str) -> str | None:
    metric, label = (part.strip() for part in query.removeprefix("label_values(").removesuffix(")").split(","))
    answer = get(prometheus, f"/api/v1/label/{label}/values", **{"match[]": metric})
    return None if answer.get("data") else f"{query} has no value"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prometheus", help="such as http://127.0.0.1:9090")
    prometheus = parser.parse_args().prometheus.rstrip("/")

    dashboard = json.loads(DASHBOARD.read_text())
    checks = [
        (f"variable {variable['name']}", problem_with_variable(prometheus, variable["query"]["query"]))
        for variable in dashboard["templating"]["list"]
        if variable["type"] == "query"
    ]
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            checks.append((f"{panel['title']}: {target['expr']}", problem_with(prometheus, target["expr"])))
    failures = [(what, problem) for what, problem in checks if problem]
    for what, problem in failures:
        print(f"FAILED  {what}\n        {problem}")
    print(f"dashboard: {len(checks) - len(failures)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
