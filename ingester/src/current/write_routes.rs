//! Writes history and routes, as `plan.rs` has worked them out.

use sqlx::{AssertSqlSafe, PgConnection};

use super::{
    packed::{STATE, STATE_COLUMNS, pack},
    plan::Slots,
    route::{RouteState, Tail},
};
use crate::rows::{
    Current, ROUTE_COLUMNS, Rows, TAIL_COLUMNS,
    copy::{HEADER, PutColumn as _, PutOptional as _, TRAILER},
};

/// What one message of the COPY protocol carries at most: large enough to cost
/// few system calls, small enough to stay in the cache and let the server work
/// while the rest is sent.
const COPY_CHUNK: usize = 128 * 1024;

/// From a row's number of columns to what follows `peer_id` and `action`.
const PEER_ID: std::ops::Range<usize> = 2..10;
const SHARED_AT: usize = 22;

/// What a connection needs: the tables that new versions of routes are staged in.
pub(crate) async fn prepare(connection: &mut PgConnection) -> sqlx::Result<()> {
    for table in Current::ALL {
        let table = table.name();
        let sql = format!(
            "create temporary table if not exists staged_{table} (like {table}) \
             on commit delete rows"
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Copies rows that are encoded already.
pub(crate) async fn copy(
    connection: &mut PgConnection,
    statement: &str,
    rows: &[u8],
) -> sqlx::Result<()> {
    let mut copy = connection.copy_in_raw(statement).await?;
    copy.send(HEADER).await?;
    for chunk in rows.chunks(COPY_CHUNK) {
        copy.send(chunk).await?;
    }
    copy.send(TRAILER).await?;
    copy.finish().await?;
    Ok(())
}

/// Copies rows as `put` encodes them: the server works on some while the next are encoded.
async fn copy_each<T: Sync>(
    connection: &mut PgConnection,
    statement: &str,
    rows: &[T],
    put: &(dyn Fn(&T, &mut Vec<u8>) + Sync),
) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut copy = connection.copy_in_raw(statement).await?;
    let mut chunk = HEADER.to_vec();
    for row in rows {
        put(row, &mut chunk);
        if chunk.len() >= COPY_CHUNK {
            copy.send(chunk.as_slice()).await?;
            chunk.clear();
        }
    }
    chunk.extend_from_slice(TRAILER);
    copy.send(chunk.as_slice()).await?;
    copy.finish().await?;
    Ok(())
}

pub(super) async fn write_history(
    connection: &mut PgConnection,
    table: Current,
    rows: &Rows,
    history: &[(u32, Tail)],
) -> sqlx::Result<()> {
    let table = table.history();
    let encoded = rows.table(table);
    copy_each(connection, table.copy_statement(), history, &|(row, tail), out| {
        out.extend_from_slice(encoded.row(*row as usize));
        out.put_raw(tail.change.name().as_bytes());
        out.put_opt_i32(tail.changed);
        out.put_opt_time(tail.replaced);
    })
    .await
}

pub(super) async fn write_routes(
    connection: &mut PgConnection,
    table: Current,
    rows: &Rows,
    slots: &Slots<'_>,
) -> sqlx::Result<()> {
    // What this batch brought of routes that the table has not, or has; and the rest.
    let (mut new, mut changed, mut touched) = (Vec::new(), Vec::new(), Vec::new());
    for ((peer, key), slot) in slots {
        let Some(state) = slot.state.as_ref().filter(|_| slot.touched) else { continue };
        let route = Touched { peer: *peer, key, version: slot.version.unwrap_or(0), state };
        match (slot.stored, slot.version) {
            (false, _) => new.push(route),
            (true, Some(_)) => changed.push(route),
            (true, None) => touched.push(route),
        }
    }
    for routes in [&mut new, &mut changed, &mut touched] {
        // In the order of the index, and so that two runs write the same.
        routes.sort_unstable_by_key(|route| (route.peer, route.key));
    }
    let name = table.name();
    let columns = ROUTE_COLUMNS[table as usize];
    let encoded = rows.table(table.history());
    let put = |route: &Touched<'_>, out: &mut Vec<u8>| {
        route.put(encoded.row(route.version as usize), out);
    };
    let into = |table: &str| {
        format!("copy {table} (peer_id, {columns}, key, {STATE}) from stdin (format binary)")
    };
    copy_each(connection, &into(name), &new, &put).await?;
    if !changed.is_empty() {
        copy_each(connection, &into(&format!("staged_{name}")), &changed, &put).await?;
        let sql = format!(
            "update {name} r set ({columns}, {STATE}) = ({}, {}) from staged_{name} s \
             where r.peer_id = s.peer_id and r.key = s.key",
            staged(columns),
            staged(STATE)
        );
        let done = sqlx::query(AssertSqlSafe(sql)).execute(&mut *connection).await?;
        all_there(done.rows_affected(), changed.len())?;
    }
    touch(connection, name, &touched).await
}

/// The same columns, of the staged row.
fn staged(columns: &str) -> String {
    let columns: Vec<String> =
        columns.split(',').map(|column| format!("s.{}", column.trim())).collect();
    columns.join(", ")
}

/// A route to be written.
struct Touched<'a> {
    peer: i32,
    key: &'a [u8],
    /// The row of history with its version, where this batch brought it.
    version: u32,
    state: &'a RouteState,
}

impl Touched<'_> {
    /// A row of the current table, from that of history which has its version.
    fn put(&self, row: &[u8], out: &mut Vec<u8>) {
        let columns = row.first_chunk().map_or(0, |columns| i16::from_be_bytes(*columns));
        // Without `action` and the tail, with the key and the state.
        let columns = columns - 1 - TAIL_COLUMNS + 1 + STATE_COLUMNS;
        out.extend_from_slice(&columns.to_be_bytes());
        out.extend_from_slice(&row[PEER_ID]);
        out.extend_from_slice(&row[SHARED_AT..]);
        out.put_raw(self.key);
        self.put_state(out);
    }

    fn put_state(&self, out: &mut Vec<u8>) {
        let route = self.state;
        out.put_i32(route.epoch);
        out.put_time(route.heard);
        out.put_i64(route.heard_session);
        out.put_i64(route.heard_sequence);
        out.put_time(route.first_seen);
        out.put_time(route.epoch_seen);
        out.put_opt_time(route.withdrawn);
        out.put_i32(route.changes);
        out.put_i32(route.withdrawals);
        out.put_time(route.heard_logged);
        let mut state = Vec::with_capacity(96);
        pack(route, &mut state);
        out.put_raw(&state);
    }
}

/// Updates routes whose version stays.
async fn touch(
    connection: &mut PgConnection,
    table: &str,
    routes: &[Touched<'_>],
) -> sqlx::Result<()> {
    if routes.is_empty() {
        return Ok(());
    }
    let numbers = |get: fn(&RouteState) -> i64| {
        routes.iter().map(|route| get(route.state)).collect::<Vec<_>>()
    };
    let small = |get: fn(&RouteState) -> i32| {
        routes.iter().map(|route| get(route.state)).collect::<Vec<_>>()
    };
    let states: Vec<Vec<u8>> = routes
        .iter()
        .map(|route| {
            let mut state = Vec::with_capacity(96);
            pack(route.state, &mut state);
            state
        })
        .collect();
    let sql = format!(
        "update {table} r set epoch = n.epoch, \
             heard = timestamptz 'epoch' + n.heard * interval '1 microsecond', \
             heard_session = n.heard_session, heard_sequence = n.heard_sequence, \
             withdrawn = timestamptz 'epoch' + n.withdrawn * interval '1 microsecond', \
             withdrawals = n.withdrawals, \
             heard_logged = timestamptz 'epoch' + n.heard_logged * interval '1 microsecond', \
             state = n.state \
         from unnest($1::integer[], $2::bytea[], $3::integer[], $4::bigint[], $5::bigint[], \
             $6::bigint[], $7::bigint[], $8::integer[], $9::bigint[], $10::bytea[]) \
             as n (peer_id, key, epoch, heard, heard_session, heard_sequence, withdrawn, \
                 withdrawals, heard_logged, state) \
         where r.peer_id = n.peer_id and r.key = n.key"
    );
    let done = sqlx::query(AssertSqlSafe(sql))
        .bind(routes.iter().map(|route| route.peer).collect::<Vec<_>>())
        .bind(routes.iter().map(|route| route.key).collect::<Vec<_>>())
        .bind(small(|route| route.epoch))
        .bind(numbers(|route| route.heard))
        .bind(numbers(|route| route.heard_session))
        .bind(numbers(|route| route.heard_sequence))
        .bind(routes.iter().map(|route| route.state.withdrawn).collect::<Vec<_>>())
        .bind(small(|route| route.withdrawals))
        .bind(numbers(|route| route.heard_logged))
        .bind(&states)
        .execute(connection)
        .await?;
    all_there(done.rows_affected(), routes.len())
}

/// A row that was there when it was read may have been swept since: then the batch is
/// read and written again.
fn all_there(updated: u64, routes: usize) -> sqlx::Result<()> {
    if updated == routes as u64 {
        return Ok(());
    }
    let detail = format!("{updated} of {routes} routes were there when they were to be updated");
    Err(sqlx::Error::Protocol(detail))
}
