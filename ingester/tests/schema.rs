//! The schema: how it came to be, and that it explains itself.

#[path = "common/blocks.rs"]
mod blocks;
mod common;
#[path = "common/replay.rs"]
mod replay;

use std::{fs, path::Path};

use blocks::blocks;
use common::{Bed, Speaker};
use replay::{collect, store};
use ribstream_ingester::{migrate::MIGRATOR, rows::PARTS};
use ribstream_proto::names::{self, bgp, bmp};
use ribstream_testkit::{Database, Kafka, captures::capture};
use sqlx::{AssertSqlSafe, migrate::Migrator};

/// What an ingester of schema version 1 wrote: one row of each table, in its own form.
const ROWS_OF_VERSION_1: &str = r"
    insert into routers (identity, first_heard, last_heard) values ('192.0.2.1', now(), now());
    insert into peers (router_id, type, distinguisher, address, asn, first_heard)
        values (1, 0, '\x0000000000000000', '198.51.100.1', 64501, now());
    insert into route_events (time, session, sequence, peer_id, ordinal, afi, safi, view, action,
            initial_dump, prefix, extended_communities)
        values (now(), 1, 1, 1, 0, 1, 1, 1, 'announce', false, '10.0.0.0/8', '{0002fde800000064}');
    insert into other_events (time, session, sequence, peer_id, ordinal, afi, safi, view, action,
            initial_dump, nlri)
        values (now(), 1, 2, 1, 0, 25, 70, 1, 'announce', false, '\x030100');
    insert into peer_events (time, session, sequence, peer_id, ordinal, kind, notification_code,
            notification_subcode)
        values (now(), 1, 3, 1, 0, 'down', 6, 2);
    insert into stats_reports (time, session, sequence, peer_id, ordinal, type, value)
        values (now(), 1, 4, 1, 0, 7, 1000);
    insert into mirrored_messages (time, session, sequence, peer_id, ordinal, type, value)
        values (now(), 1, 5, 1, 0, 0, '\xff');
";

/// Brings a database to a version as the binary that had no later one did.
async fn migrate_to(database: &Database, version: i64) {
    let directory = tempfile::tempdir().unwrap();
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
    for file in fs::read_dir(migrations).unwrap().map(Result::unwrap) {
        let name = file.file_name().into_string().unwrap();
        if name.split('_').next().unwrap().parse::<i64>().unwrap() <= version {
            fs::copy(file.path(), directory.path().join(name)).unwrap();
        }
    }
    let migrator = Migrator::new(directory.path()).await.unwrap();
    assert_eq!(migrator.iter().count(), usize::try_from(version).unwrap());
    migrator.run(&mut database.connect().await.unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_version_1_is_upgraded_with_its_rows() {
    let (kafka, database) = (Kafka::shared().await.unwrap(), Database::fresh().await.unwrap());
    migrate_to(&database, 1).await;
    let mut connection = database.connect().await.unwrap();
    sqlx::raw_sql(ROWS_OF_VERSION_1).execute(&mut connection).await.unwrap();

    // Bed::with migrates, as an operator does; doing it once more changes nothing.
    let bed = Bed::with(kafka, database, 1).await;
    bed.migrate();
    assert_eq!(
        bed.number("select max(version) from _sqlx_migrations where success").await,
        MIGRATOR.iter().map(|migration| migration.version).max().unwrap()
    );
    for (row, expected) in [
        (
            "select (router, prefix, extended_communities, further_attributes) from route_log",
            "(192.0.2.1,10.0.0.0/8,{0002fde800000064},)",
        ),
        (
            "select (router, family, nlri, nlri_text, nlri_json, further_attributes) from other_log",
            r#"(192.0.2.1,evpn,"\\x030100",,,)"#,
        ),
        (
            "select (notification_code_name(notification_code), \
             notification_subcode_name(notification_code, notification_subcode), \
             shutdown_communication, notification_enclosed) from peer_events",
            "(Cease,\"Administrative Shutdown\",,)",
        ),
        (
            "select (statistic_name(type), value, statistic_unit(type)) from stats_reports",
            "(adj-rib-in-routes,1000,routes)",
        ),
        (
            "select (type, value, message_type, decoded, information) from mirrored_messages",
            r#"(0,"\\xff",,,)"#,
        ),
    ] {
        assert_eq!(bed.text(row).await, expected, "{row}");
    }

    let mut speaker = Speaker::new(1, 1);
    let events = [speaker.announce([1]), speaker.announce_others(2)];
    bed.store(&events).await;
    assert_eq!(bed.number("select count(*) from peers").await, 1);
    assert_eq!(bed.number("select count(distinct peer_id) from route_events").await, 1);
    for (table, rows) in [("route_events", 2), ("evpn_events", 1), ("other_events", 2)] {
        assert_eq!(bed.number(&format!("select count(*) from {table}")).await, rows, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_in_the_database_has_a_comment() {
    let bed = Bed::new(1).await;
    let ours = "relnamespace = 'public'::regnamespace and relname <> '_sqlx_migrations'";
    for (what, of) in [
        (
            "relations",
            format!(
                "select relname from pg_class where {ours} and relkind in ('r', 'v') \
                 and obj_description(oid, 'pg_class') is null"
            ),
        ),
        (
            "columns",
            format!(
                "select relname || '.' || attname from pg_class \
                 join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped \
                 where {ours} and relkind = 'r' and col_description(pg_class.oid, attnum) is null"
            ),
        ),
        (
            "functions",
            "select proname from pg_proc where pronamespace = 'public'::regnamespace \
             and obj_description(oid, 'pg_proc') is null and not exists ( \
                 select from pg_depend where objid = pg_proc.oid and deptype = 'e')"
                .to_owned(),
        ),
    ] {
        let missing =
            bed.text(&format!("select string_agg(name, ', ') from ({of}) as of (name)")).await;
        assert_eq!(missing, "null", "{what} without a comment");
    }
}

/// For every number what the database calls it, which is what the events do: a name, or the
/// number where there is none.
async fn compare(bed: &Bed, call: &str, name: impl Fn(u16) -> Option<&'static str>) {
    let names = format!("select json_agg({call} order by n) from generate_series(0, 300) n");
    let stored: Vec<String> = serde_json::from_str(&bed.text(&names).await).unwrap();
    let expected: Vec<String> = (0..=300)
        .map(|number| name(number).map_or_else(|| number.to_string(), str::to_owned))
        .collect();
    assert_eq!(stored, expected, "{call}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_has_the_same_names_as_the_events() {
    let bed = Bed::new(1).await;
    let octet = |number| u8::try_from(number).ok();
    let statistic = names::statistic;
    compare(&bed, "statistic_name(n)", |number| Some(statistic(number)?.name)).await;
    compare(&bed, "coalesce(statistic_unit(n), n::text)", |number| Some(statistic(number)?.unit))
        .await;
    compare(&bed, "peer_down_reason_name(n)", |number| bmp::peer_down_reason(number.into())).await;
    compare(&bed, "termination_reason_name(n)", bmp::termination_reason).await;
    compare(&bed, "fsm_event_name(n)", bgp::fsm_event).await;
    compare(&bed, "capability_name(n)", |number| bgp::capability(octet(number)?)).await;
    compare(&bed, "notification_code_name(n)", |number| bgp::error_code(octet(number)?)).await;
    for code in 0..=20 {
        let call = format!("notification_subcode_name({code}, n)");
        compare(&bed, &call, |number| bgp::error_subcode(code, octet(number)?)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_change_may_change_has_the_same_names_in_the_database() {
    let bed = Bed::new(1).await;
    let all = bed.text("select array_to_string(changed_parts(65535), ' ')").await;
    assert_eq!(all, PARTS.join(" "));
    assert_eq!(bed.text("select changed_parts(8 | 256)").await, "{as_path,communities}");
    assert_eq!(bed.text("select changed_parts(0)").await, "{}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_the_documentation_runs() {
    let bed = Bed::new(3).await;
    for name in ["frr10-unicast", "gobgp336-multi"] {
        collect(&bed, &capture(name).unwrap()).await;
    }
    store(&bed).await;
    let community = bed.text("select current_setting('timescaledb.license')").await != "apache";
    let mut connection = bed.database.connect().await.unwrap();
    sqlx::raw_sql("analyze").execute(&mut connection).await.unwrap();
    for (page, query) in blocks(community) {
        if let Err(error) =
            sqlx::raw_sql(AssertSqlSafe(query.as_str())).execute(&mut connection).await
        {
            panic!("{}: {error}\n{query}", page.display());
        }
    }
}
