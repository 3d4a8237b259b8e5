//! The database's roles: that each can do its work, and nothing else.

mod common;
#[path = "common/replay.rs"]
mod replay;

use std::process::{Output, Stdio};

use common::{Bed, binary};
use replay::collect_with;
use ribstream_testkit::{Database, Kafka, OwnPostgres, captures::capture};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

const ROLES: [&str; 3] = ["ribstream_reader", "ribstream_ingester", "ribstream_operator"];

async fn execute(url: &str, sql: &str) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await?;
    connection.close().await
}

/// Makes a login role that is a member of another; how it reaches the database.
async fn login(database: &Database, name: &str, of: &str) -> String {
    let create = format!("create role {name} login password 'secret' in role {of}");
    execute(database.url(), &create).await.unwrap();
    as_login(database, name)
}

fn as_login(database: &Database, name: &str) -> String {
    let url = database.url().replace("ribstream:ribstream@", &format!("{name}:secret@"));
    assert!(url.contains(name), "{url}");
    url
}

fn migrate(url: &str) -> Output {
    let mut command = binary();
    command.args(["migrate", "--database-url", url]).stdin(Stdio::null()).output().unwrap()
}

fn migrated(url: &str) -> String {
    let done = migrate(url);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingester_needs_to_be_no_more_than_a_member_of_its_role() {
    let Some(stream) = capture("frr10-unicast") else { return };
    let postgres = OwnPostgres::start().await.unwrap();
    let database = Database::fresh_on(postgres.url()).await.unwrap();
    let bed = Bed::with(Kafka::shared().await.unwrap(), database, 3).await;
    let raw = format!("{}-raw", bed.topic);
    collect_with(&bed, &stream, &["--raw", "--topic-raw", &raw]).await;
    let url = login(&bed.database, "ingester_1", "ribstream_ingester").await;
    let run = |arguments: &[&str]| {
        let mut command = bed.command_of(&bed.group, &url);
        command.args(["--http", "127.0.0.1:0", "--raw", "--topic-raw", &raw]);
        command.args(["--session-silence", "1000d"]).args(arguments);
        common::Ingester::spawn(&mut command)
    };
    let ingester = run(&["--processing-times"]);
    bed.wait_until_stored().await;
    bed.wait_until_stored_of(&raw).await;
    assert_eq!(ingester.stop(), Some(0));
    for table in ["raw_messages", "processing_times"] {
        assert!(bed.number(&format!("select count(*) from {table}")).await > 1000, "{table}");
    }
    let copies = "select count(*) from snapshots where taken is not null";
    assert_eq!(bed.number(copies).await, bed.number("select count(*) from snapshots").await);

    // As the owner.
    let beside = bed.beside().await;
    let ingester = beside.ingester(&["--session-silence", "1000d"]);
    beside.wait_until_stored().await;
    assert_eq!(ingester.stop(), Some(0));
    assert_eq!(bed.digest().await, beside.digest().await);

    // A month later its history is dropped and its routes are swept.
    let later = "update ingest_offsets set last_received = last_received + interval '30 days'";
    execute(bed.database.url(), later).await.unwrap();
    let ingester = run(&["--retention-of", "route_events=15d", "--keep-gone", "1d"]);
    for table in ["route_events", "routes", "raw_messages"] {
        let rows = format!("select count(*) from {table}");
        common::wait_for(table, async || bed.number(&rows).await == 0).await;
    }
    assert_eq!(ingester.stop(), Some(0));

    // A replay brings back what it finds missing, and leaves nothing of its own.
    execute(bed.database.url(), "delete from stats_reports").await.unwrap();
    let replayed = binary()
        .args(["replay", "--kafka", bed.kafka.brokers(), "--topic-events", &bed.topic])
        .args(["--database-url", &url, "--from", "earliest"])
        .output()
        .unwrap();
    assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
    for table in ["route_events", "stats_reports"] {
        let rows = format!("select count(*) from {table}");
        assert_eq!(bed.number(&rows).await, beside.number(&rows).await, "{table}");
    }
    assert_eq!(bed.text("select to_regnamespace('ribstream_replay')").await, "null");
}

/// What nobody but the owner may do.
const OWNERS: [&str; 19] = [
    "drop table route_events",
    "drop view current_routes",
    "drop function rib_view_name(integer)",
    "alter table route_events add column more text",
    "alter table routes owner to current_user",
    "create index on route_events (peer_id)",
    "truncate route_events",
    "create table public.mine ()",
    "create function public.mine() returns integer language sql return 1",
    "create or replace function public.kept_table(text) returns regclass \
     language sql return 'pg_authid'::regclass",
    "create schema mine",
    "create role mine",
    "update aggregates set edition = 'mine'",
    "delete from _sqlx_migrations",
    "select from pg_authid",
    "select pg_read_file('/etc/passwd')",
    "copy routers to program 'true'",
    "select drop_chunks('route_events', now())",
    "set role ribstream",
];

/// What ingesters may do and others not.
const INGESTERS: [&str; 9] = [
    "insert into routers (identity, first_heard, last_heard) values ('mine', now(), now())",
    "update peers set up = false",
    "delete from route_events",
    "delete from routes",
    "update ingest_offsets set next_offset = 0",
    "copy raw_messages (time, message_type, message) from stdin",
    "select drop_history('route_events', now())",
    "select keep_history('route_events', interval '1 hour', null)",
    "select begin_replay()",
];

/// What operators may do and others not.
const OPERATORS: [&str; 4] = [
    "insert into expected_origins (prefix, origin_as) values ('192.0.2.0/24', 64500)",
    "update as_relationships set asn = 1",
    "delete from tier1_ases",
    "delete from bogons",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_role_may_do_what_is_not_its_own() {
    let postgres = OwnPostgres::start().await.unwrap();
    let database = Database::fresh_on(postgres.url()).await.unwrap();
    migrated(database.url());
    let all: Vec<&str> = OWNERS.into_iter().chain(INGESTERS).chain(OPERATORS).collect();
    for (role, its_own) in
        [(ROLES[0], &[][..]), (ROLES[1], &INGESTERS[..]), (ROLES[2], &OPERATORS[..])]
    {
        let url = login(&database, &format!("a_{role}"), role).await;
        for sql in &all {
            let mut connection = PgConnection::connect(&url).await.unwrap();
            let done = async {
                let mut transaction = connection.begin().await?;
                sqlx::raw_sql(AssertSqlSafe(*sql)).execute(&mut *transaction).await?;
                transaction.rollback().await
            };
            let done: sqlx::Result<()> = done.await;
            let code = done.as_ref().err().and_then(|error| error.as_database_error());
            let code = code.and_then(sqlx::error::DatabaseError::code).unwrap_or_default();
            if its_own.contains(sql) {
                // Policies are the other edition's; COPY is begun, and then given no rows.
                let may = code.is_empty() || code == "0A000" || sql.starts_with("copy");
                assert!(may && code != "42501", "{role}: {sql}: {done:?}");
            } else {
                assert_eq!(code, "42501", "{role}: {sql}: {done:?}");
            }
        }
    }
    // What runs as the owner is for the tables that it is meant for.
    let url = as_login(&database, "a_ribstream_ingester");
    for name in ["routes", "pg_authid", "_timescaledb_catalog.chunk", "x'; drop table routes; --"] {
        let name = name.replace('\'', "''");
        for call in [
            format!("select drop_history('{name}', now())"),
            format!("select keep_history('{name}', null, null)"),
        ] {
            let error = execute(&url, &call).await.unwrap_err();
            let code = error.as_database_error().unwrap().code().unwrap();
            assert_eq!(code, "22023", "{call}: {error}");
        }
    }
    // Whoever is no member of any role sees nothing, after a restore without privileges too.
    let all = "grant execute on function drop_history(text, timestamptz), \
        keep_history(text, interval, interval), begin_replay(), end_replay() to public";
    execute(database.url(), all).await.unwrap();
    migrated(database.url());
    execute(database.url(), "create role nobody login password 'secret'").await.unwrap();
    let url = as_login(&database, "nobody");
    for sql in [
        "select from routes",
        "select drop_history('route_events', now())",
        "select keep_history('route_events', null, null)",
        "select begin_replay()",
        "select end_replay()",
    ] {
        let error = execute(&url, sql).await.unwrap_err();
        assert_eq!(error.as_database_error().unwrap().code().unwrap(), "42501", "{sql}");
    }
    // As an ingester it is told what it lacks.
    let arguments = ["run", "--http", "127.0.0.1:0", "--database-url", &url];
    let refused = binary().args(arguments).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("grant ribstream_ingester to nobody"), "{said}");
    assert!(!said.contains("secret"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_everything_and_a_table_to_come_when_migrate_has_run() {
    let postgres = OwnPostgres::start().await.unwrap();
    let database = Database::fresh_on(postgres.url()).await.unwrap();
    migrated(database.url());
    execute(database.url(), "create view public.more as select * from routes").await.unwrap();
    // As the compose file makes it; a second time changes nothing.
    for _ in 0..2 {
        execute(database.url(), include_str!("../../compose/logins.sql")).await.unwrap();
    }
    let url = database.url().replace("ribstream:ribstream@", "grafana:ribstream@");
    let error = execute(&url, "select from more").await.unwrap_err();
    assert_eq!(error.as_database_error().unwrap().code().unwrap(), "42501");
    migrated(database.url());
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let relations: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class where relnamespace = 'public'::regnamespace \
         and relkind in ('r', 'v')",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert!(relations.len() > 60 && relations.iter().any(|name| name == "more"), "{relations:?}");
    for name in relations {
        let sql = AssertSqlSafe(format!("select * from {name} limit 1"));
        if let Err(error) = sqlx::raw_sql(sql).execute(&mut connection).await {
            panic!("{name}: {error}");
        }
    }
    for call in ["route_lookup('192.0.2.1')", "raw_message(1, now(), 1, 1)"] {
        let sql = AssertSqlSafe(format!("select * from {call}"));
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_create_roles_migrates_all_the_same_and_many_may_at_once() {
    let postgres = OwnPostgres::start().await.unwrap();
    let database = Database::fresh_on(postgres.url()).await.unwrap();
    let owner = "create role owner_1 login password 'secret'; do $$ begin \
        execute format('alter database %I owner to owner_1', current_database()); end $$";
    execute(database.url(), owner).await.unwrap();
    execute(database.url(), "create table public.theirs ()").await.unwrap();
    let url = as_login(&database, "owner_1");
    let said = migrated(&url);
    for role in ROLES {
        assert!(said.contains(role), "{said}");
    }
    assert!(said.contains("owner_1 may not create"), "{said}");

    // Whoever may creates them, for all databases of the server; several at once.
    let mut others = Vec::new();
    for _ in 0..4 {
        others.push(Database::fresh_on(postgres.url()).await.unwrap());
    }
    let migrations = others.iter().map(|other| {
        let url = other.url().to_owned();
        tokio::task::spawn_blocking(move || migrated(&url))
    });
    for migration in migrations.collect::<Vec<_>>() {
        let said = migration.await.unwrap();
        assert!(!said.contains("roles"), "{said}");
    }

    let said = migrated(&url);
    assert!(said.contains("already") && !said.contains("roles"), "{said}");
    let reader = login(&database, "reader_1", "ribstream_reader").await;
    execute(&reader, "select from current_routes").await.unwrap();
    let error = execute(&reader, "select from theirs").await.unwrap_err();
    assert_eq!(error.as_database_error().unwrap().code().unwrap(), "42501");
    // A role is for the databases that were migrated, not for others.
    let empty = Database::fresh_on(postgres.url()).await.unwrap();
    let elsewhere = as_login(&empty, "reader_1");
    let error = execute(&elsewhere, "create table public.mine ()").await.unwrap_err();
    assert_eq!(error.as_database_error().unwrap().code().unwrap(), "42501");
}
