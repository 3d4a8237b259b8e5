//! The tables that a replay works out: in a schema of their own, beside the real ones.

use std::{collections::HashSet, fmt::Write as _};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, postgres::PgConnectOptions};

use crate::{
    batch::Batch,
    current::{self, History, Spans},
    inventory::Inventory,
    rows::Step,
    state,
    store::{self, StoreError},
};

/// The schema.
pub(super) const SCHEMA: &str = "ribstream_replay";

/// The tables with a row for each event, or some.
pub(super) const HISTORY: [&str; 6] = [
    "peer_events",
    "route_events",
    "evpn_events",
    "other_events",
    "stats_reports",
    "mirrored_messages",
];

/// The tables that say how routes are now.
pub(super) const CURRENT: [&str; 3] = ["routes", "evpn_routes", "other_routes"];

/// The tables that say who held a peer.
pub(super) const PEERS: [&str; 5] =
    ["peer_holds", "peer_epochs", "rib_dumps", "dump_events", "event_gaps"];

/// Peers of which the database knew before the first record that Kafka has of them. None,
/// where that record is the first there ever was.
const SEEDED: &str = "insert into seeded
    select p.id, timestamptz 'epoch' + n.first * interval '1 microsecond'
    from unnest($1::integer[], $2::bigint[]) as n (id, first)
    join peers p using (id)
    where p.first_heard < timestamptz 'epoch' + n.first * interval '1 microsecond'
        and p.epoch > 0";

/// What was known of them then, as far as the tables still tell.
const SEED: [&str; 9] = [
    "insert into peer_holds
        select h.* from public.peer_holds h join new_peers n using (peer_id)
        where h.began < n.first",
    "update peer_holds h set ended = null, end_reason = null, up = true, overtaken = false
        from new_peers n where n.peer_id = h.peer_id and h.ended >= n.first",
    "update peer_holds h set peer_sequence = 0 from new_peers n where n.peer_id = h.peer_id and h.up",
    "insert into peer_epochs
        select e.* from public.peer_epochs e join new_peers n using (peer_id)
        where e.began < n.first",
    "update peer_epochs e set ended = null, end_session = null, end_sequence = null,
            end_reason = null
        from new_peers n where n.peer_id = e.peer_id and e.ended >= n.first",
    "insert into dump_events
        select d.* from public.dump_events d join new_peers n using (peer_id)
        where d.time < n.first",
    "insert into rib_dumps (peer_id, view, afi, safi, session, sequence, began, ended, logged)
        select distinct on (peer_id, view, afi, safi)
            peer_id, view, afi, safi, session, sequence, began, time, logged
        from dump_events join new_peers n using (peer_id)
        order by peer_id, view, afi, safi, coalesce(logged, began) desc, began desc, time desc",
    "insert into event_gaps
        select g.* from public.event_gaps g join new_peers n using (peer_id)
        where g.time < n.first",
    "update peers p set epoch = e.epoch, up = e.ended is null, since = coalesce(e.ended, e.began),
            session = coalesce(e.end_session, e.session),
            sequence = coalesce(e.end_sequence, e.sequence), down_reason = e.end_reason
        from peer_epochs e join new_peers n using (peer_id)
        where p.id = e.peer_id
            and e.epoch = (select max(l.epoch) from peer_epochs l where l.peer_id = p.id)",
];

/// The scratch tables, and the connection that fills them.
pub(super) struct Scratch {
    connection: PgConnection,
    peers: HashSet<i32>,
}

impl Scratch {
    /// Makes them anew.
    pub(super) async fn create(database: &PgConnectOptions) -> sqlx::Result<Self> {
        let mut connection = store::connect(database).await?;
        let mut sql = format!(
            "select begin_replay(); \
             set search_path = {SCHEMA}, public; \
             create unlogged table spans (peer_id integer, session bigint, \
                 first_sequence bigint, first_ordinal integer, last_sequence bigint, \
                 last_ordinal integer, first_time timestamptz, last_time timestamptz, \
                 primary key (peer_id, session)); \
             create unlogged table seeded (peer_id integer primary key, first timestamptz); \
             create temporary table new_peers (peer_id integer primary key, first timestamptz); "
        );
        for table in HISTORY {
            let _ = write!(sql, "create unlogged table {table} (like public.{table}); ");
        }
        for table in PEERS.iter().chain(&CURRENT).chain(&["peers", "routers", "bmp_sessions"]) {
            let _ = write!(
                sql,
                "create unlogged table {table} (like public.{table} including indexes); "
            );
        }
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
        current::prepare(&mut connection).await?;
        Ok(Self { connection, peers: HashSet::new() })
    }

    /// Runs through a batch, whose history is kept or not; how many records were refused.
    /// `database` is the connection that has resolved its peers.
    pub(super) async fn write(
        &mut self,
        database: &mut PgConnection,
        batch: &mut Batch,
        inventory: &Inventory,
        kept: bool,
    ) -> sqlx::Result<u64> {
        if batch.is_empty() {
            return Ok(0);
        }
        batch.set_ids(inventory);
        self.meet(database, batch, inventory).await?;
        let history = if kept { History::Kept } else { History::Left };
        let mut refused = 0;
        let all = 0..batch.len();
        let mut parts = vec![all];
        while let Some(part) = parts.pop() {
            let mut transaction = self.connection.begin().await?;
            let written = async {
                let written =
                    current::write(&mut transaction, batch, &part, inventory, history).await?;
                let (from, to) = batch.marks(&part);
                state::apply(&mut transaction, batch.rows.sessions(from, to), inventory).await?;
                if kept {
                    put_spans(&mut transaction, &written.spans).await?;
                }
                Ok::<_, sqlx::Error>(())
            };
            match written.await.map_err(StoreError::from) {
                Ok(()) => transaction.commit().await?,
                // As an ingester does: the records that are refused were parked.
                Err(StoreError::Data(_)) => {
                    transaction.rollback().await?;
                    if part.len() == 1 {
                        refused += 1;
                    } else {
                        let middle = part.start + part.len() / 2;
                        parts.push(middle..part.end);
                        parts.push(part.start..middle);
                    }
                }
                Err(StoreError::Unavailable(error)) => return Err(error),
                // No offset is moved here.
                Err(StoreError::Fenced { .. }) => return Err(sqlx::Error::WorkerCrashed),
            }
        }
        Ok(refused)
    }

    /// Brings in the peers that a batch is the first to speak of.
    async fn meet(
        &mut self,
        database: &mut PgConnection,
        batch: &Batch,
        inventory: &Inventory,
    ) -> sqlx::Result<()> {
        let ids = inventory.peer_ids();
        let (from, to) = batch.marks(&(0..batch.len()));
        let (mut new, mut first) = (Vec::new(), Vec::new());
        for step in batch.rows.steps(from, to) {
            let Step::Event(place) = step else { continue };
            let Some(id) = ids.get(place.peer.0 as usize).copied().flatten() else { continue };
            if self.peers.insert(id) {
                new.push(id);
                first.push(place.time);
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        self.copy_from(database, "peers", "id = any ($1)", &new).await?;
        let routers = "id in (select router_id from peers where id = any ($1))";
        self.copy_from(database, "routers", routers, &new).await?;
        sqlx::query(SEEDED).bind(&new).bind(&first).execute(&mut self.connection).await?;
        sqlx::query(
            "update peers set epoch = 0, up = null, since = null, session = null, \
                 sequence = null, down_reason = null where id = any ($1)",
        )
        .bind(&new)
        .execute(&mut self.connection)
        .await?;
        self.seed(&new).await
    }

    /// Copies rows as `database` sees them: a dry run's are not committed.
    async fn copy_from(
        &mut self,
        database: &mut PgConnection,
        table: &str,
        which: &str,
        ids: &[i32],
    ) -> sqlx::Result<()> {
        let sql = format!("select to_jsonb(t)::text from public.{table} t where {which}");
        let rows: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(sql)).bind(ids).fetch_all(database).await?;
        let sql = format!(
            "insert into {table} select t.* from unnest($1::text[]) as n (line) \
             cross join jsonb_populate_record(null::{table}, n.line::jsonb) t on conflict do nothing"
        );
        sqlx::query(AssertSqlSafe(sql)).bind(rows).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Copies what the database knew of peers before the first record that is left of them.
    async fn seed(&mut self, new: &[i32]) -> sqlx::Result<()> {
        sqlx::query("truncate new_peers").execute(&mut self.connection).await?;
        let seeded = sqlx::query(
            "insert into new_peers select peer_id, first from seeded where peer_id = any ($1)",
        )
        .bind(new)
        .execute(&mut self.connection)
        .await?;
        if seeded.rows_affected() == 0 {
            return Ok(());
        }
        for sql in SEED {
            sqlx::query(sql).execute(&mut self.connection).await?;
        }
        for table in CURRENT {
            let sql = format!(
                "insert into {table} select r.* from public.{table} r join new_peers n using (peer_id) \
                 where r.heard < n.first and (r.withdrawn is null or r.withdrawn < n.first)"
            );
            sqlx::query(AssertSqlSafe(sql)).execute(&mut self.connection).await?;
        }
        Ok(())
    }

    /// Makes the tables ready to be compared.
    pub(super) async fn index(&mut self) -> sqlx::Result<()> {
        for table in HISTORY {
            let sql = format!(
                "create index on {table} (peer_id, session, sequence, ordinal); analyze {table}"
            );
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection).await?;
        }
        for table in PEERS.iter().chain(&CURRENT).chain(&["spans"]) {
            let sql = format!("analyze {table}");
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection).await?;
        }
        Ok(())
    }

    /// Removes them.
    pub(super) async fn remove(mut self) -> sqlx::Result<()> {
        sqlx::raw_sql("select end_replay()").execute(&mut self.connection).await?;
        self.connection.close().await
    }
}

async fn put_spans(connection: &mut PgConnection, spans: &Spans) -> sqlx::Result<()> {
    let spans: Vec<_> = spans.iter().collect();
    sqlx::query(
        "insert into spans as s \
         select peer_id, session, first_sequence, first_ordinal, last_sequence, last_ordinal, \
             timestamptz 'epoch' + first_time * interval '1 microsecond', \
             timestamptz 'epoch' + last_time * interval '1 microsecond' \
         from unnest($1::integer[], $2::bigint[], $3::bigint[], $4::integer[], $5::bigint[], \
             $6::integer[], $7::bigint[], $8::bigint[]) \
             as n (peer_id, session, first_sequence, first_ordinal, last_sequence, last_ordinal, \
                 first_time, last_time) \
         on conflict (peer_id, session) do update set last_sequence = excluded.last_sequence, \
             last_ordinal = excluded.last_ordinal, \
             first_time = least(s.first_time, excluded.first_time), \
             last_time = greatest(s.last_time, excluded.last_time)",
    )
    .bind(spans.iter().map(|((peer, _), _)| *peer).collect::<Vec<_>>())
    .bind(spans.iter().map(|((_, session), _)| *session).collect::<Vec<_>>())
    .bind(spans.iter().map(|(_, span)| span.first.0).collect::<Vec<_>>())
    .bind(spans.iter().map(|(_, span)| span.first.1).collect::<Vec<_>>())
    .bind(spans.iter().map(|(_, span)| span.last.0).collect::<Vec<_>>())
    .bind(spans.iter().map(|(_, span)| span.last.1).collect::<Vec<_>>())
    .bind(spans.iter().map(|(_, span)| span.times.0).collect::<Vec<_>>())
    .bind(spans.iter().map(|(_, span)| span.times.1).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}
