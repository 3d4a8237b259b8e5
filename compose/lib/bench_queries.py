"""Asks a database what its users ask, and prints how long each answer took when it was asked for
the second time: the median and the worst of all such questions. Called by compose/bench-queries with the path of
compose/stack and the router whose tables are asked for."""

import json
import pathlib
import re
import statistics
import subprocess
import sys

STACK, ROUTER = sys.argv[1:3]
DASHBOARDS = pathlib.Path(__file__).parent.parent / "grafana" / "dashboards"


def psql(script):
    """What psql prints of a script."""
    command = [STACK, "psql", "--name", "bench", "--", "-qAtX", "-v", "ON_ERROR_STOP=1"]
    done = subprocess.run(command, input=script, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stderr.strip()}\n{script}")
    return done.stdout


def times(statements):
    """How many milliseconds each takes when it is asked for the second time."""
    statements = list(statements)
    asked = "".join(f"{statement.rstrip().rstrip(';')};\n" for statement in statements)
    said = psql(f"\\o /dev/null\n{asked}\\timing on\n{asked}")
    return [float(took) for took in re.findall(r"^Time: ([0-9.]+) ms", said, re.MULTILINE)]


def show(what, took):
    print(f"{what:<64} {statistics.median(took):>10.1f} {max(took):>10.1f}", flush=True)


def prefixes(count):
    """Prefixes of the table, the same in each run."""
    return psql(
        "select prefix from (select prefix, row_number() over (order by md5(prefix::text)) as n"
        f" from current_routes where router = '{ROUTER}' and prefix is not null) r where n <= {count}"
    ).split()


def middle_of_dump():
    """A moment at which half of the router's largest table was still to come."""
    return psql(
        "select min(time) + (max(time) - min(time)) / 2 from route_events"
        " where initial_dump and time > now() - interval '12 hours'"
        f" and peer_id = (select peer_id from current_routes where router = '{ROUTER}' limit 1)"
    ).strip()


def filled(sql, values):
    """A panel's query over the last day."""
    day = "now() - interval '1 day'"
    sql = re.sub(r"\$__timeFilter\(([^)]*)\)", rf"\1 between {day} and now()", sql)
    sql = sql.replace("$__timeFrom()", day).replace("$__timeTo()", "now()")
    for name, value in values.items():
        sql = sql.replace(f"${name}", value)
    return sql


def panels(prefix):
    """Name and query of each panel that asks the database, for all routers and for one."""
    for file in sorted(DASHBOARDS.glob("*.json")):
        dashboard = json.loads(file.read_text())
        variables = dashboard["templating"]["list"]
        values = {v["name"]: "%" if v["type"] == "query" else v["current"]["value"] for v in variables}
        values["prefix"] = prefix
        for panel in dashboard["panels"]:
            if panel.get("datasource", {}).get("uid") != "ribstream-database":
                continue
            for target in panel["targets"]:
                yield f"{dashboard['title']}: {panel['title']}", filled(target["rawSql"], values)


def main():
    print(f"{'milliseconds':<64} {'median':>10} {'worst':>10}")
    some = prefixes(100)
    addresses = [prefix.split("/")[0] for prefix in some]
    show("longest match of an address", times(f"select * from route_lookup('{it}')" for it in addresses))
    show("exact prefix", times(f"select * from route_lookup('{it}', 'exact')" for it in some))
    history = "select * from route_history('{}', now() - interval '90 days')"
    show("history of a prefix, 90 days", times(history.format(it) for it in some))
    for what, moment in ("now", "now"), ("in the middle of its dump", middle_of_dump()):
        rib = f"select count(*) from rib_at('{moment}', '{ROUTER}')"
        show(f"the table of a peer, {what} (rib_at)", times([rib]))
    for view in psql("select view from snapshots order by view").split():
        show(f"making the copy of {view}", times([f"select take_snapshot('{view}')"]))
    # As the policies of the Community edition do every few minutes: dumps that are minutes old are
    # still worked out when they are read.
    psql(
        "select format('call run_job(%s)', job_id) from timescaledb_information.jobs"
        " where proc_name = 'policy_refresh_continuous_aggregate' order by job_id\n\\gexec\n"
    )
    for what, sql in panels(some[0]):
        show(what, times([sql]))
    # And as it is when the hour and the day of the dumps have ended: all is kept.
    kept = psql(
        "select format('call refresh_continuous_aggregate(%L, now() - interval ''8 days'', now() + interval ''2 days'');',"
        " format('%I.%I', view_schema, view_name)) from timescaledb_information.continuous_aggregates"
        " order by length(materialization_hypertable_name), materialization_hypertable_name"
    )
    if kept:
        psql(kept)
        for what, sql in panels(some[0]):
            show(f"{what}, kept", times([sql]))


main()
