//! Makes the tables what a replay has worked out.

use anyhow::bail;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::scratch::{CURRENT, HISTORY, PEERS, SCHEMA};

/// Names the lock: "ribrply" in octets.
const LOCK: i64 = 0x72_6962_7270_6c79;

/// What was changed in a table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) table: &'static str,
    pub(super) deleted: u64,
    pub(super) inserted: u64,
}

/// Makes sure that no other replay is at work, and that of this connection plans may be
/// those of large joins.
pub(super) async fn begin(connection: &mut PgConnection) -> anyhow::Result<()> {
    let (ours,): (bool,) = sqlx::query_as("select pg_try_advisory_lock($1)")
        .bind(LOCK)
        .fetch_one(&mut *connection)
        .await
        .map_err(super::failed)?;
    if !ours {
        bail!("another replay is writing to this database; wait for its end");
    }
    let settings = "set enable_hashjoin = on; set enable_mergejoin = on; \
                    set idle_in_transaction_session_timeout = 0";
    sqlx::raw_sql(settings).execute(connection).await.map_err(super::failed)?;
    Ok(())
}

/// Lets the next replay begin.
pub(super) async fn end(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("select pg_advisory_unlock($1)").bind(LOCK).execute(connection).await?;
    Ok(())
}

/// Begins the transaction in which everything is changed.
pub(super) async fn transaction(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql("begin").execute(connection).await?;
    Ok(())
}

/// Ends it.
pub(super) async fn finish(connection: &mut PgConnection, dry_run: bool) -> sqlx::Result<()> {
    let sql = if dry_run { "rollback" } else { "commit" };
    sqlx::raw_sql(sql).execute(connection).await?;
    Ok(())
}

/// Lets the continuous aggregates, where there are any, take in what was changed: only their
/// owner may.
pub(super) async fn refresh(connection: &mut PgConnection) -> sqlx::Result<()> {
    let calls: Vec<(String, bool)> = sqlx::query_as(AssertSqlSafe(format!(
        "select format('call refresh_continuous_aggregate(%L, %L, %L)', a.name, s.first, s.last), \
             pg_has_role(c.view_owner, 'usage') \
         from aggregates a \
         join timescaledb_information.continuous_aggregates c \
             on c.view_schema = 'public' and c.view_name = a.name \
         cross join (select time_bucket('1 day', min(first_time)) as first, \
                 time_bucket('1 day', max(last_time)) + interval '1 day' as last \
             from {SCHEMA}.spans) s \
         where s.first is not null order by a.made, a.name"
    )))
    .fetch_all(&mut *connection)
    .await?;
    for (call, ours) in calls {
        if ours {
            execute(connection, &call).await?;
        } else {
            tracing::warn!(call, "an aggregate is to take in the replay: call this as its owner");
        }
    }
    Ok(())
}

/// How far the database is in a partition.
pub(super) async fn position(
    connection: &mut PgConnection,
    topic: &str,
    partition: i32,
) -> sqlx::Result<Option<i64>> {
    let row =
        sqlx::query("select next_offset from ingest_offsets where topic = $1 and partition = $2")
            .bind(topic)
            .bind(partition)
            .fetch_optional(connection)
            .await?;
    row.map(|row| row.try_get(0)).transpose()
}

/// Takes the partition's place from its ingester until the transaction ends; where it is.
pub(super) async fn lock(
    connection: &mut PgConnection,
    topic: &str,
    partition: i32,
    from: i64,
) -> sqlx::Result<i64> {
    crate::store::begin_partition(connection, topic, partition, from).await?;
    sqlx::query(
        "select next_offset from ingest_offsets where topic = $1 and partition = $2 for update",
    )
    .bind(topic)
    .bind(partition)
    .fetch_one(connection)
    .await?
    .try_get(0)
}

/// Makes history of the range and current tables what was worked out up to `next`.
pub(super) async fn merge(
    connection: &mut PgConnection,
    topic: &str,
    partition: i32,
    next: i64,
) -> sqlx::Result<Vec<Changed>> {
    keep_what_kafka_cannot_tell(connection).await?;
    let mut changed = Vec::new();
    let mut note = |table, deleted, inserted| {
        if deleted + inserted > 0 {
            changed.push(Changed { table, deleted, inserted });
        }
    };
    let times: (Option<String>, Option<String>) = sqlx::query_as(AssertSqlSafe(format!(
        "select min(first_time)::text, max(last_time)::text from {SCHEMA}.spans"
    )))
    .fetch_one(&mut *connection)
    .await?;
    if let (Some(first), Some(last)) = times {
        for table in HISTORY {
            // Bounds of time that are written out leave other chunks alone.
            let within = format!("p.time between '{first}' and '{last}'");
            let same = "p.peer_id = r.peer_id and p.session = r.session \
                        and p.sequence = r.sequence and p.ordinal = r.ordinal \
                        and p.time = r.time and row(p.*) is not distinct from row(r.*)";
            let deleted = execute(
                connection,
                &format!(
                    "delete from public.{table} p using {SCHEMA}.spans s \
                     where {within} and p.peer_id = s.peer_id and p.session = s.session \
                         and (p.sequence, p.ordinal) >= (s.first_sequence, s.first_ordinal) \
                         and (p.sequence, p.ordinal) <= (s.last_sequence, s.last_ordinal) \
                         and not exists (select from {SCHEMA}.{table} r where {same})"
                ),
            )
            .await?;
            let inserted = execute(
                connection,
                &format!(
                    "insert into public.{table} select r.* from {SCHEMA}.{table} r \
                     where not exists (select from public.{table} p where {within} and {same})"
                ),
            )
            .await?;
            note(table, deleted, inserted);
        }
    }
    let inserted = update_peers(connection).await?;
    note("peers", 0, inserted);
    for table in PEERS.into_iter().chain(CURRENT) {
        let same = "p.peer_id = r.peer_id and row(p.*) is not distinct from row(r.*)";
        // What is looked up by its key is not compared with all others of its peer.
        let same = if CURRENT.contains(&table) {
            format!("p.key = r.key and {same}")
        } else {
            same.to_owned()
        };
        let deleted = execute(
            connection,
            &format!(
                "delete from public.{table} p using {SCHEMA}.peers k where k.id = p.peer_id \
                 and not exists (select from {SCHEMA}.{table} r where {same})"
            ),
        )
        .await?;
        let inserted = execute(
            connection,
            &format!(
                "insert into public.{table} select r.* from {SCHEMA}.{table} r \
                 where not exists (select from public.{table} p where {same})"
            ),
        )
        .await?;
        note(table, deleted, inserted);
    }
    let inserted = update_sessions(connection).await?;
    note("bmp_sessions", 0, inserted);
    sqlx::query(
        "update ingest_offsets o set next_offset = greatest(next_offset, $3) \
         where topic = $1 and partition = $2",
    )
    .bind(topic)
    .bind(partition)
    .bind(next)
    .execute(connection)
    .await?;
    Ok(changed)
}

async fn execute(connection: &mut PgConnection, sql: &str) -> sqlx::Result<u64> {
    Ok(sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await?.rows_affected())
}

/// Where Kafka has not all that the database knew of a peer, the first word on a route is
/// judged without what was before it: there the rows that were written when it was known
/// are right.
async fn keep_what_kafka_cannot_tell(connection: &mut PgConnection) -> sqlx::Result<()> {
    let (any,): (bool,) =
        sqlx::query_as(AssertSqlSafe(format!("select exists (select from {SCHEMA}.seeded)")))
            .fetch_one(&mut *connection)
            .await?;
    if !any {
        return Ok(());
    }
    for table in ["route_events", "evpn_events", "other_events"] {
        execute(
            connection,
            &format!(
                "update {SCHEMA}.{table} r set change = p.change, changed = p.changed, \
                     replaced = p.replaced \
                 from public.{table} p, {SCHEMA}.seeded s \
                 where s.peer_id = r.peer_id and r.change in ('new', 'withdrawn-unknown') \
                     and p.peer_id = r.peer_id and p.session = r.session \
                     and p.sequence = r.sequence and p.ordinal = r.ordinal and p.time = r.time \
                     and (p.replaced < s.first or p.change in ('refresh', 'returned'))"
            ),
        )
        .await?;
    }
    for table in CURRENT {
        // Told again as it was: it is the version that the database knows.
        execute(
            connection,
            &format!(
                "with again as ( \
                     delete from {SCHEMA}.{table} r using public.{table} p, {SCHEMA}.seeded s \
                     where s.peer_id = r.peer_id and p.peer_id = r.peer_id and p.key = r.key \
                         and p.first_seen < s.first and r.first_seen = r.time \
                         and p.time < s.first and p.epoch = r.epoch \
                         and p.withdrawn is not distinct from r.withdrawn \
                     returning r.peer_id, r.key \
                 ) \
                 insert into {SCHEMA}.{table} \
                 select p.* from public.{table} p join again using (peer_id, key)"
            ),
        )
        .await?;
        execute(
            connection,
            &format!(
                "update {SCHEMA}.{table} r set first_seen = p.first_seen, \
                     epoch_seen = case when p.epoch = r.epoch \
                         then least(p.epoch_seen, r.epoch_seen) else r.epoch_seen end, \
                     changes = greatest(p.changes, r.changes), \
                     withdrawals = greatest(p.withdrawals, r.withdrawals) \
                 from public.{table} p, {SCHEMA}.seeded s \
                 where s.peer_id = r.peer_id and p.peer_id = r.peer_id and p.key = r.key \
                     and p.first_seen < s.first and r.first_seen >= s.first"
            ),
        )
        .await?;
    }
    Ok(())
}

/// What the peers' rows say of their latest epoch.
async fn update_peers(connection: &mut PgConnection) -> sqlx::Result<u64> {
    execute(
        connection,
        &format!(
            "update public.peers p set epoch = r.epoch, up = r.up, since = r.since, \
                 session = r.session, sequence = r.sequence, down_reason = r.down_reason, \
                 asn = r.asn, bgp_id = r.bgp_id \
             from {SCHEMA}.peers r \
             where r.id = p.id \
                 and (p.epoch, p.up, p.since, p.session, p.sequence, p.down_reason, p.asn, p.bgp_id) \
                 is distinct from \
                 (r.epoch, r.up, r.since, r.session, r.sequence, r.down_reason, r.asn, r.bgp_id)"
        ),
    )
    .await
}

/// Of a session, what an event leaves as it is where it does not speak of it.
const SESSION: [&str; 12] = [
    "address",
    "remote_port",
    "sys_name",
    "sys_descr",
    "information",
    "messages",
    "octets",
    "peers",
    "ended",
    "end_reason",
    "end_detail",
    "end_information",
];

/// Sessions and routers: the last word of the log, and of what it does not speak of the
/// word that is there.
async fn update_sessions(connection: &mut PgConnection) -> sqlx::Result<u64> {
    let known = SESSION.map(|column| format!("p.{column}")).join(", ");
    let said = SESSION.map(|column| format!("coalesce(r.{column}, p.{column})")).join(", ");
    let columns = SESSION.join(", ");
    let updated = execute(
        connection,
        &format!(
            "update public.bmp_sessions p set ({columns}, last_heard) = \
                 ({said}, greatest(p.last_heard, r.last_heard)) \
             from {SCHEMA}.bmp_sessions r \
             where p.router_id = r.router_id and p.session = r.session \
                 and (({known}) is distinct from ({said}) or r.last_heard > p.last_heard)"
        ),
    )
    .await?;
    let inserted = execute(
        connection,
        &format!(
            "insert into public.bmp_sessions select * from {SCHEMA}.bmp_sessions \
             on conflict do nothing"
        ),
    )
    .await?;
    execute(
        connection,
        &format!(
            "update public.routers p set address = r.address, sys_name = r.sys_name, \
                 sys_descr = r.sys_descr, last_heard = greatest(p.last_heard, r.last_heard) \
             from {SCHEMA}.routers r \
             where r.id = p.id and exists ( \
                     select from {SCHEMA}.bmp_sessions s where s.router_id = r.id) \
                 and ((p.address, p.sys_name, p.sys_descr) is distinct from \
                         (r.address, r.sys_name, r.sys_descr) \
                     or r.last_heard > p.last_heard)"
        ),
    )
    .await?;
    Ok(updated + inserted)
}
