//! Loads what `plan.rs` works on.

use std::collections::BTreeSet;

use sqlx::{AssertSqlSafe, PgConnection, Row, ValueRef as _, postgres::PgRow};

use super::{
    packed::{STATE, unpack},
    peer::{Dump, End, Epoch, Hold, Word},
    plan::{Plan, Slots},
    route::RouteState,
};
use crate::rows::{Current, RibTable, Step};

/// PostgreSQL counts from 2000-01-01.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

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
        "select peer_id, session, up, began, began_sequence, peer_sequence, ended, end_reason, \
             router_time, overtaken, coalesce(logged, began) \
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
                Some(false) if row.try_get(9)? => Word::Overtaken,
                Some(false) => Word::Down,
            },
            began: time(row, 3)?.unwrap_or_default(),
            logged: time(row, 10)?.unwrap_or_default(),
            router_time: time(row, 8)?,
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
        "select peer_id, view, afi, safi, session, sequence, began, ended, \
             coalesce(logged, began) from rib_dumps \
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
            logged: known(row, 8)?,
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
        let state: &[u8] = row.try_get(12)?;
        let heard = known(row, 3)?;
        let mut route = RouteState {
            since: known(row, 1)?,
            epoch: row.try_get(2)?,
            heard,
            heard_logged: time(row, 11)?.unwrap_or(heard),
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
