//! Loads and writes what `plan.rs` works on.

use std::collections::{BTreeSet, HashMap};

use sqlx::{AssertSqlSafe, PgConnection, Row, ValueRef as _, postgres::PgRow};

use super::{
    peer::{Dump, End, Epoch, Hold, PeerState, Word},
    plan::{Plan, Slots},
    route::{RouteState, Tail},
};
use crate::rows::{
    Current, ROUTE_COLUMNS, RibTable, Rows, Step, TAIL_COLUMNS,
    copy::{HEADER, PutColumn as _, PutOptional as _, TRAILER},
};

/// What one message of the COPY protocol carries at most: large enough to cost
/// few system calls, small enough to stay in the cache and let the server work
/// while the rest is sent.
const COPY_CHUNK: usize = 128 * 1024;

/// PostgreSQL counts from 2000-01-01.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// The columns of a current table that say how its route came to be as it is.
const STATE: &str = "epoch, heard, heard_session, heard_sequence, first_seen, epoch_seen, \
                     withdrawn, changes, withdrawals, state";
const STATE_COLUMNS: i16 = 10;

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

/// Microseconds since 1970 of a `timestamptz`.
fn time(row: &PgRow, column: usize) -> sqlx::Result<Option<i64>> {
    let value = row.try_get_raw(column)?;
    if value.is_null() {
        return Ok(None);
    }
    let octets = value.as_bytes().map_err(sqlx::Error::Decode)?;
    let octets = octets.try_into().map_err(|_| {
        sqlx::Error::Decode("a timestamp that is not sent in its binary form".into())
    })?;
    Ok(Some(i64::from_be_bytes(octets).saturating_add(POSTGRES_EPOCH_MICROS)))
}

/// A column that is not null.
fn known(row: &PgRow, column: usize) -> sqlx::Result<i64> {
    time(row, column)?.ok_or_else(|| sqlx::Error::Decode("an unexpected null".into()))
}

pub(super) async fn load_peers(
    connection: &mut PgConnection,
    plan: &mut Plan<'_>,
    steps: &[Step],
) -> sqlx::Result<()> {
    let ids: Vec<i32> = plan.peers.keys().copied().collect();
    if ids.is_empty() {
        return Ok(());
    }
    let sessions: BTreeSet<i64> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Event(place) => Some(place.session),
            _ => None,
        })
        .collect();
    let sessions: Vec<i64> = sessions.into_iter().collect();
    let rows = sqlx::query(
        "select peer_id, session, up, began, began_sequence, peer_sequence, ended, end_reason \
         from peer_holds where peer_id = any ($1) and (up or session = any ($2)) \
         order by peer_id, session",
    )
    .bind(&ids)
    .bind(&sessions)
    .fetch_all(&mut *connection)
    .await?;
    for row in &rows {
        let Some(peer) = plan.peers.get_mut(&row.try_get(0)?) else { continue };
        peer.holds.push(Hold {
            session: row.try_get(1)?,
            word: match row.try_get(2)? {
                None => Word::Nothing,
                Some(true) => Word::Up,
                Some(false) => Word::Down,
            },
            began: time(row, 3)?.unwrap_or_default(),
            began_sequence: row.try_get(4)?,
            peer_sequence: row.try_get(5)?,
            ended: time(row, 6)?,
            end_reason: row.try_get(7)?,
            changed: false,
        });
    }
    let rows = sqlx::query(
        "select e.peer_id, e.epoch, e.began, e.session, e.sequence, e.ended, e.end_session, \
             e.end_sequence, e.end_reason \
         from peers p join peer_epochs e on e.peer_id = p.id and e.epoch = p.epoch \
         where p.id = any ($1)",
    )
    .bind(&ids)
    .fetch_all(&mut *connection)
    .await?;
    for row in &rows {
        let Some(peer) = plan.peers.get_mut(&row.try_get(0)?) else { continue };
        let end = match time(row, 5)? {
            None => None,
            Some(time) => Some(End {
                time,
                session: row.try_get(6)?,
                sequence: row.try_get(7)?,
                reason: row.try_get(8)?,
            }),
        };
        peer.epoch = Some(Epoch {
            number: row.try_get(1)?,
            began: known(row, 2)?,
            session: row.try_get(3)?,
            sequence: row.try_get(4)?,
            end,
        });
    }
    let rows = sqlx::query(
        "select peer_id, view, afi, safi, session, sequence, began, ended from rib_dumps \
         where peer_id = any ($1)",
    )
    .bind(&ids)
    .fetch_all(connection)
    .await?;
    for row in &rows {
        let Some(peer) = plan.peers.get_mut(&row.try_get(0)?) else { continue };
        let table = RibTable { view: row.try_get(1)?, afi: row.try_get(2)?, safi: row.try_get(3)? };
        let dump = Dump {
            session: row.try_get(4)?,
            sequence: row.try_get(5)?,
            began: known(row, 6)?,
            ended: known(row, 7)?,
        };
        peer.dumps.insert(table, dump);
    }
    Ok(())
}

pub(super) async fn load_routes(
    connection: &mut PgConnection,
    table: Current,
    slots: &mut Slots<'_>,
) -> sqlx::Result<()> {
    if slots.is_empty() {
        return Ok(());
    }
    let mut keys: Vec<(i32, &[u8])> = slots.keys().copied().collect();
    // In the order of the index.
    keys.sort_unstable();
    let peers: Vec<i32> = keys.iter().map(|(peer, _)| *peer).collect();
    let octets: Vec<&[u8]> = keys.iter().map(|(_, key)| *key).collect();
    let sql = format!(
        "select n.place, r.time, {STATE} \
         from unnest($1::integer[], $2::bytea[]) with ordinality as n (peer_id, key, place) \
         join {} r on r.peer_id = n.peer_id and r.key = n.key",
        table.name()
    );
    let rows =
        sqlx::query(AssertSqlSafe(sql)).bind(&peers).bind(&octets).fetch_all(connection).await?;
    for row in &rows {
        let place = usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or_default();
        let key = place.checked_sub(1).and_then(|place| keys.get(place));
        let Some(slot) = key.and_then(|key| slots.get_mut(key)) else { continue };
        let state: &[u8] = row.try_get(11)?;
        let mut route = RouteState {
            since: known(row, 1)?,
            epoch: row.try_get(2)?,
            heard: known(row, 3)?,
            heard_session: row.try_get(4)?,
            heard_sequence: row.try_get(5)?,
            first_seen: known(row, 6)?,
            epoch_seen: known(row, 7)?,
            withdrawn: time(row, 8)?,
            changes: row.try_get(9)?,
            withdrawals: row.try_get(10)?,
            ..RouteState::default()
        };
        unpack(state, &mut route)
            .ok_or_else(|| sqlx::Error::Decode("a route's state that is cut short".into()))?;
        slot.stored = true;
        slot.state = Some(route);
    }
    Ok(())
}

/// `state`: the leading session, the router's time, how many sessions are behind, each
/// with its steps, the signature.
fn pack(route: &RouteState, out: &mut Vec<u8>) {
    out.extend_from_slice(&route.leader.to_be_bytes());
    out.extend_from_slice(&route.router_time.unwrap_or(i64::MIN).to_be_bytes());
    let behind = route.behind.get(..255).unwrap_or(&route.behind);
    out.push(u8::try_from(behind.len()).unwrap_or(u8::MAX));
    for (session, steps) in behind {
        out.extend_from_slice(&session.to_be_bytes());
        out.push(*steps);
    }
    out.extend_from_slice(&route.signature);
}

fn unpack(state: &[u8], route: &mut RouteState) -> Option<()> {
    let (leader, rest) = state.split_first_chunk()?;
    let (router_time, rest) = rest.split_first_chunk()?;
    let (behind, mut rest) = rest.split_first()?;
    route.leader = i64::from_be_bytes(*leader);
    route.router_time = Some(i64::from_be_bytes(*router_time)).filter(|time| *time != i64::MIN);
    for _ in 0..*behind {
        let (session, after) = rest.split_first_chunk()?;
        let (steps, after) = after.split_first()?;
        route.behind.push((i64::from_be_bytes(*session), *steps));
        rest = after;
    }
    // Rows that an earlier version has written have them in another order.
    route.behind.sort_unstable();
    route.signature = rest.to_vec();
    Some(())
}

/// Copies rows that are encoded already.
pub(super) async fn copy(
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
             withdrawals = n.withdrawals, state = n.state \
         from unnest($1::integer[], $2::bytea[], $3::integer[], $4::bigint[], $5::bigint[], \
             $6::bigint[], $7::bigint[], $8::integer[], $9::bytea[]) \
             as n (peer_id, key, epoch, heard, heard_session, heard_sequence, withdrawn, \
                 withdrawals, state) \
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

pub(super) async fn write_peers(
    connection: &mut PgConnection,
    peers: &HashMap<i32, PeerState>,
) -> sqlx::Result<()> {
    let mut peers: Vec<(i32, &PeerState)> = peers.iter().map(|(id, peer)| (*id, peer)).collect();
    peers.sort_unstable_by_key(|(id, _)| *id);
    write_holds(connection, &peers).await?;
    write_epochs(connection, &peers).await?;
    write_dumps(connection, &peers).await?;
    write_gaps(connection, &peers).await?;
    write_says(connection, &peers).await
}

fn each<'p, T>(
    peers: &[(i32, &'p PeerState)],
    all: impl Fn(&'p PeerState) -> Vec<T>,
) -> Vec<(i32, T)> {
    peers.iter().flat_map(|(id, peer)| all(peer).into_iter().map(|one| (*id, one))).collect()
}

fn column<T, U>(rows: &[(i32, T)], get: impl Fn(&T) -> U) -> Vec<U> {
    rows.iter().map(|(_, row)| get(row)).collect()
}

fn ids<T>(rows: &[(i32, T)]) -> Vec<i32> {
    rows.iter().map(|(id, _)| *id).collect()
}

async fn write_holds(
    connection: &mut PgConnection,
    peers: &[(i32, &PeerState)],
) -> sqlx::Result<()> {
    let holds = each(peers, |peer| peer.holds.iter().filter(|hold| hold.changed).collect());
    if holds.is_empty() {
        return Ok(());
    }
    let began =
        |hold: &&Hold| (hold.word != Word::Nothing && hold.began != 0).then_some(hold.began);
    sqlx::query(
        "insert into peer_holds as h (peer_id, session, up, began, began_sequence, peer_sequence, \
             ended, end_reason) \
         select peer_id, session, up, timestamptz 'epoch' + began * interval '1 microsecond', \
             began_sequence, peer_sequence, \
             timestamptz 'epoch' + ended * interval '1 microsecond', end_reason \
         from unnest($1::integer[], $2::bigint[], $3::boolean[], $4::bigint[], $5::bigint[], \
             $6::bigint[], $7::bigint[], $8::integer[]) \
             as n (peer_id, session, up, began, began_sequence, peer_sequence, ended, end_reason) \
         on conflict (peer_id, session) do update set up = excluded.up, \
             began = excluded.began, began_sequence = excluded.began_sequence, \
             peer_sequence = excluded.peer_sequence, ended = excluded.ended, \
             end_reason = excluded.end_reason",
    )
    .bind(ids(&holds))
    .bind(column(&holds, |hold| hold.session))
    .bind(column(&holds, |hold| match hold.word {
        Word::Nothing => None,
        Word::Up => Some(true),
        Word::Down => Some(false),
    }))
    .bind(column(&holds, began))
    .bind(column(&holds, |hold| hold.began_sequence))
    .bind(column(&holds, |hold| hold.peer_sequence))
    .bind(column(&holds, |hold| hold.ended))
    .bind(column(&holds, |hold| hold.end_reason))
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_epochs(
    connection: &mut PgConnection,
    peers: &[(i32, &PeerState)],
) -> sqlx::Result<()> {
    let epochs = each(peers, |peer| peer.epochs.iter().collect());
    if epochs.is_empty() {
        return Ok(());
    }
    let end = |get: fn(&End) -> i64| column(&epochs, |epoch| epoch.end.as_ref().map(get));
    sqlx::query(
        "insert into peer_epochs as e (peer_id, epoch, began, session, sequence, ended, \
             end_session, end_sequence, end_reason) \
         select peer_id, epoch, timestamptz 'epoch' + began * interval '1 microsecond', session, \
             sequence, timestamptz 'epoch' + ended * interval '1 microsecond', end_session, \
             end_sequence, end_reason \
         from unnest($1::integer[], $2::integer[], $3::bigint[], $4::bigint[], $5::bigint[], \
             $6::bigint[], $7::bigint[], $8::bigint[], $9::integer[]) \
             as n (peer_id, epoch, began, session, sequence, ended, end_session, end_sequence, \
                 end_reason) \
         on conflict (peer_id, epoch) do update set ended = excluded.ended, \
             end_session = excluded.end_session, end_sequence = excluded.end_sequence, \
             end_reason = excluded.end_reason",
    )
    .bind(ids(&epochs))
    .bind(column(&epochs, |epoch| epoch.number))
    .bind(column(&epochs, |epoch| epoch.began))
    .bind(column(&epochs, |epoch| epoch.session))
    .bind(column(&epochs, |epoch| epoch.sequence))
    .bind(end(|end| end.time))
    .bind(end(|end| end.session))
    .bind(end(|end| end.sequence))
    .bind(column(&epochs, |epoch| epoch.end.and_then(|end| end.reason)))
    .execute(&mut *connection)
    .await?;
    // What the peer's row says is the latest epoch's.
    let latest: Vec<(i32, &Epoch)> = peers
        .iter()
        .filter(|(_, peer)| !peer.epochs.is_empty())
        .filter_map(|(id, peer)| Some((*id, peer.epoch.as_ref()?)))
        .collect();
    let boundary = |ended: fn(&End) -> i64, began: fn(&Epoch) -> i64| {
        column(&latest, |epoch| epoch.end.as_ref().map_or_else(|| began(epoch), ended))
    };
    sqlx::query(
        "update peers as p set epoch = n.epoch, up = n.up, \
             since = timestamptz 'epoch' + n.since * interval '1 microsecond', \
             session = n.session, sequence = n.sequence, down_reason = n.down_reason \
         from unnest($1::integer[], $2::integer[], $3::boolean[], $4::bigint[], $5::bigint[], \
             $6::bigint[], $7::integer[]) \
             as n (id, epoch, up, since, session, sequence, down_reason) \
         where p.id = n.id",
    )
    .bind(ids(&latest))
    .bind(column(&latest, |epoch| epoch.number))
    .bind(column(&latest, |epoch| epoch.end.is_none()))
    .bind(boundary(|end| end.time, |epoch| epoch.began))
    .bind(boundary(|end| end.session, |epoch| epoch.session))
    .bind(boundary(|end| end.sequence, |epoch| epoch.sequence))
    .bind(column(&latest, |epoch| epoch.end.and_then(|end| end.reason)))
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_dumps(
    connection: &mut PgConnection,
    peers: &[(i32, &PeerState)],
) -> sqlx::Result<()> {
    let dumps = each(peers, |peer| peer.new_dumps.iter().collect());
    if dumps.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "with n as ( \
             select peer_id, view, afi, safi, session, sequence, \
                 timestamptz 'epoch' + began * interval '1 microsecond' as began, \
                 timestamptz 'epoch' + ended * interval '1 microsecond' as ended, place \
             from unnest($1::integer[], $2::smallint[], $3::integer[], $4::smallint[], \
                 $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[]) with ordinality \
                 as n (peer_id, view, afi, safi, session, sequence, began, ended, place) \
         ), history as ( \
             insert into dump_events (time, session, sequence, peer_id, view, afi, safi, began) \
             select ended, session, sequence, peer_id, view, afi, safi, began from n \
         ) \
         insert into rib_dumps (peer_id, view, afi, safi, session, sequence, began, ended) \
         select distinct on (peer_id, view, afi, safi) \
             peer_id, view, afi, safi, session, sequence, began, ended \
         from n order by peer_id, view, afi, safi, place desc \
         on conflict (peer_id, view, afi, safi) do update set session = excluded.session, \
             sequence = excluded.sequence, began = excluded.began, ended = excluded.ended",
    )
    .bind(ids(&dumps))
    .bind(column(&dumps, |(table, _)| table.view))
    .bind(column(&dumps, |(table, _)| table.afi))
    .bind(column(&dumps, |(table, _)| table.safi))
    .bind(column(&dumps, |(_, dump)| dump.session))
    .bind(column(&dumps, |(_, dump)| dump.sequence))
    .bind(column(&dumps, |(_, dump)| dump.began))
    .bind(column(&dumps, |(_, dump)| dump.ended))
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_gaps(
    connection: &mut PgConnection,
    peers: &[(i32, &PeerState)],
) -> sqlx::Result<()> {
    let gaps = each(peers, |peer| peer.gaps.iter().collect());
    if gaps.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into event_gaps (peer_id, session, time, after, before) \
         select peer_id, session, timestamptz 'epoch' + time * interval '1 microsecond', after, \
             before \
         from unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) \
             as n (peer_id, session, time, after, before)",
    )
    .bind(ids(&gaps))
    .bind(column(&gaps, |gap| gap.session))
    .bind(column(&gaps, |gap| gap.time))
    .bind(column(&gaps, |gap| gap.after))
    .bind(column(&gaps, |gap| gap.before))
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_says(
    connection: &mut PgConnection,
    peers: &[(i32, &PeerState)],
) -> sqlx::Result<()> {
    let says = each(peers, |peer| peer.says.into_iter().collect());
    if says.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update peers as p set asn = coalesce(n.asn, p.asn), \
             bgp_id = coalesce(n.bgp_id::inet, p.bgp_id) \
         from unnest($1::integer[], $2::bigint[], $3::text[]) as n (id, asn, bgp_id) \
         where p.id = n.id",
    )
    .bind(ids(&says))
    .bind(column(&says, |says| says.asn))
    .bind(column(&says, |says| says.bgp_id.map(|id| id.to_string())))
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_route_is_read_as_it_was_written() {
        let route = RouteState {
            leader: 7,
            router_time: Some(-1),
            behind: vec![(8, 1), (9, 3)],
            signature: vec![1, 2, 3],
            ..RouteState::default()
        };
        let (mut packed, mut read) = (Vec::new(), RouteState::default());
        pack(&route, &mut packed);
        assert_eq!(unpack(&packed, &mut read), Some(()));
        assert_eq!(read, route);
        assert_eq!(unpack(&packed[..20], &mut RouteState::default()), None);
    }
}
