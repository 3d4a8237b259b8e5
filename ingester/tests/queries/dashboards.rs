//! Every panel of the Grafana dashboards that asks the database gets rows, with the columns that
//! its kind of panel needs.

use std::{fs, path::Path};

use ribstream_proto::v1::{Event, PathAttributes, Statistic, StatsReport, event::Body};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Column as _, PgConnection, Row as _, TypeInfo as _};

use crate::{
    common::{Bed, START},
    evpn::{mac, member, moved, say},
    made::{Voice, path},
};

/// Something for every panel to show.
fn story() -> Vec<Event> {
    let (mut one, mut two) = (Voice::new(1, 1, 64_501), Voice::new(2, 2, 4));
    let (mut three, mut fabric) = (Voice::new(3, 3, 5), Voice::new(4, 4, 64_501));
    let leaked = PathAttributes { only_to_customer: Some(7), ..path("64501 7") };
    let mut dumped = one.announce(2, "20.1.0.0/16", "64501 100");
    if let Some(Body::RouteUpdate(update)) = &mut dumped.body {
        update.initial_dump = true;
    }
    let statistic = |r#type| Statistic { r#type, value: Some(5), ..Statistic::default() };
    let report = StatsReport { statistics: vec![statistic(7), statistic(8)] };
    let mut events = vec![
        one.up_as(1, 64_500, Some(3)),
        two.up(1),
        three.up(1),
        three.down(50),
        dumped,
        two.announce(2, "20.1.0.0/16", "4 100"),
        one.announce(3, "20.8.0.0/16", "64501 8"),
        // Bogons, and more than a hundred routes a second.
        two.speaker.announce(0..1500),
        two.announce(4, "20.9.9.0/25", "4 9"),
        two.announce(4, "20.10.0.0/16", "4 64512 5"),
        one.announce_with(5, "20.5.0.0/16", leaked),
        // Another origin, at one of the two peers.
        one.announce(100, "20.1.0.0/16", "64501 666"),
        one.say(110, Body::StatsReport(report)),
        fabric.up(1),
        say(&mut fabric, 2, 1, mac(1, 1, 10_010, 0), path("64501")),
        say(&mut fabric, 3, 1, mac(1, 2, 10_010, 0), path("64501")),
        say(&mut fabric, 4, 2, mac(2, 2, 10_010, 0), path("64501")),
        say(&mut fabric, 5, 1, member(1), path("64501")),
        say(&mut fabric, 60, 2, mac(2, 1, 10_010, 0), moved(1)),
        fabric.withdraw_evpn(61, mac(1, 1, 10_010, 0)),
    ];
    for second in (200..240).step_by(10) {
        events.push(two.announce(second, "20.7.0.0/16", "4 7"));
        events.push(two.withdraw(second + 5, "20.7.0.0/16"));
    }
    events.extend([two.down(300), two.up(310)]);
    // The table comes back, and with it what is wrong with it.
    events.extend([
        two.speaker.announce(0..10),
        two.announce(311, "20.1.0.0/16", "4 100"),
        two.announce(311, "20.9.9.0/25", "4 9"),
        two.announce(311, "20.10.0.0/16", "4 64512 5"),
    ]);
    events
}

/// Puts what Grafana would in the place of its macros and of the dashboard's variables.
fn filled(sql: &str, variables: &[(String, String)]) -> String {
    let time = |seconds: i64| {
        let start = i64::try_from(START).unwrap() / 1_000_000;
        let time = jiff::Timestamp::from_second(start + seconds).unwrap();
        format!("'{time}'")
    };
    let (from, to) = (time(-86_400), time(86_400));
    let mut sql = sql.to_owned();
    while let Some((before, rest)) = sql.clone().split_once("$__timeFilter(") {
        let (column, after) = rest.split_once(')').unwrap();
        sql = format!("{before}{column} between {from} and {to}{after}");
    }
    sql = sql.replace("$__timeFrom()", &from).replace("$__timeTo()", &to);
    for (name, value) in variables {
        sql = sql.replace(&format!("${name}"), value);
    }
    assert!(!sql.contains('$'), "{sql}");
    sql
}

/// Names and types of the columns of a query, and how many rows it has.
async fn ask(
    connection: &mut PgConnection,
    what: &str,
    sql: &str,
) -> (Vec<(String, String)>, usize) {
    let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(connection).await;
    let rows = rows.unwrap_or_else(|error| panic!("{what}: {error}\n{sql}"));
    assert!(!rows.is_empty(), "{what} has no rows: {sql}");
    let columns = rows[0].columns().iter();
    let columns = columns.map(|c| (c.name().to_owned(), c.type_info().name().to_owned()));
    (columns.collect(), rows.len())
}

fn is_number(kind: &str) -> bool {
    matches!(kind, "INT2" | "INT4" | "INT8" | "FLOAT4" | "FLOAT8" | "NUMERIC")
}

fn check(what: &str, kind: &str, columns: &[(String, String)], rows: usize) {
    let numbers = columns.iter().filter(|(_, kind)| is_number(kind)).count();
    match kind {
        "timeseries" => {
            assert_eq!(columns[0], ("time".to_owned(), "TIMESTAMPTZ".to_owned()), "{what}");
            let named = columns.iter().filter(|(name, kind)| name == "metric" && kind == "TEXT");
            // A series for each number, or one for each name.
            assert!(numbers > 0 && numbers + named.count() == columns.len() - 1, "{what}");
        }
        "stat" => assert!(rows == 1 && numbers == columns.len(), "{what}: {columns:?}"),
        "table" => assert!(!columns.is_empty(), "{what}"),
        other => panic!("{what}: nobody has said what a {other} needs"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_of_the_dashboards_has_rows_and_the_columns_that_it_needs() {
    let bed = Bed::new(1).await;
    let producer = bed.producer();
    for event in &story() {
        producer.send(event);
    }
    producer.flush();
    let ingester = bed.ingester(&["--session-silence", "1000d"]);
    bed.wait_until_stored().await;
    assert_eq!(ingester.stop(), Some(0));
    let mut connection = bed.database.connect().await.unwrap();
    sqlx::raw_sql("insert into expected_origins values ('20.8.0.0/16', 9, null)")
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::raw_sql("select take_snapshot(view) from snapshots")
        .execute(&mut connection)
        .await
        .unwrap();

    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose/grafana/dashboards");
    let mut panels = 0;
    for file in fs::read_dir(directory).unwrap().map(|file| file.unwrap().path()) {
        if file.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let dashboard: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let title = dashboard["title"].as_str().unwrap();
        let mut variables = vec![("prefix".to_owned(), "20.1.0.0/16".to_owned())];
        for variable in dashboard["templating"]["list"].as_array().unwrap() {
            let name = variable["name"].as_str().unwrap();
            if variable["type"] == "query" {
                let sql = filled(variable["query"].as_str().unwrap(), &variables);
                ask(&mut connection, &format!("{title}, variable {name}"), &sql).await;
                variables.push((name.to_owned(), "%".to_owned()));
            } else if name != "prefix" {
                let value = variable["current"]["value"].as_str().unwrap();
                variables.push((name.to_owned(), value.to_owned()));
            }
        }
        for panel in dashboard["panels"].as_array().unwrap() {
            if panel["datasource"]["uid"] != "ribstream-database" {
                continue;
            }
            let what = format!("{title}: {}", panel["title"].as_str().unwrap());
            for target in panel["targets"].as_array().unwrap() {
                let sql = filled(target["rawSql"].as_str().unwrap(), &variables);
                let (columns, rows) = ask(&mut connection, &what, &sql).await;
                check(&what, panel["type"].as_str().unwrap(), &columns, rows);
                panels += 1;
            }
        }
    }
    assert!(panels > 40, "{panels}");
}
