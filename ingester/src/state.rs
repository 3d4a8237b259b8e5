//! What a batch's events say about sessions and routers, written to the inventory.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::PgConnection;

use crate::{
    inventory::{Inventory, clean},
    rows::{RouterSlot, SessionChange},
};

/// Writes `changes`, the last word on each session winning.
///
/// The inventory must have the ids of all routers concerned.
pub(crate) async fn apply(
    connection: &mut PgConnection,
    changes: &[(RouterSlot, SessionChange)],
    inventory: &Inventory,
) -> sqlx::Result<()> {
    let mut sessions: BTreeMap<(i32, i64), SessionChange> = BTreeMap::new();
    for (router, change) in changes {
        let Some(router) = inventory.router_id(*router) else { continue };
        sessions
            .entry((router, change.session))
            .and_modify(|earlier| earlier.merge(change))
            .or_insert_with(|| change.clone());
    }
    if !sessions.is_empty() {
        apply_sessions(connection, &sessions).await?;
        apply_routers(connection, &sessions).await?;
    }
    Ok(())
}

fn column<K, V, T>(map: &BTreeMap<K, V>, get: impl Fn(&V) -> T) -> Vec<T> {
    map.values().map(get).collect()
}

fn json(value: Option<&Value>) -> Option<String> {
    value.map(|value| String::from_utf8_lossy(&crate::rows::json::encode(value)).into_owned())
}

async fn apply_sessions(
    connection: &mut PgConnection,
    sessions: &BTreeMap<(i32, i64), SessionChange>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into bmp_sessions as s (router_id, session, collector, address, remote_port, \
             started, sys_name, sys_descr, information, last_heard, messages, octets, peers, \
             ended, end_reason, end_detail, end_information, partition) \
         select router_id, session, collector, address::inet, remote_port, \
             timestamptz 'epoch' + session * interval '1 microsecond', \
             sys_name, sys_descr, information::jsonb, \
             timestamptz 'epoch' + heard * interval '1 microsecond', messages, octets, peers, \
             timestamptz 'epoch' + ended * interval '1 microsecond', \
             end_reason, end_detail, end_information::jsonb, partition \
         from unnest($1::integer[], $2::bigint[], $3::text[], $4::text[], $5::integer[], \
             $6::text[], $7::text[], $8::text[], $9::bigint[], $10::bigint[], $11::bigint[], \
             $12::integer[], $13::bigint[], $14::smallint[], $15::text[], $16::text[], \
             $17::integer[]) \
             as n (router_id, session, collector, address, remote_port, sys_name, sys_descr, \
                 information, heard, messages, octets, peers, ended, end_reason, end_detail, \
                 end_information, partition) \
         on conflict (router_id, session) do update set \
             collector = excluded.collector, \
             address = coalesce(excluded.address, s.address), \
             remote_port = coalesce(excluded.remote_port, s.remote_port), \
             sys_name = coalesce(excluded.sys_name, s.sys_name), \
             sys_descr = coalesce(excluded.sys_descr, s.sys_descr), \
             information = coalesce(excluded.information, s.information), \
             last_heard = greatest(excluded.last_heard, s.last_heard), \
             messages = coalesce(excluded.messages, s.messages), \
             octets = coalesce(excluded.octets, s.octets), \
             peers = coalesce(excluded.peers, s.peers), \
             ended = coalesce(excluded.ended, s.ended), \
             end_reason = coalesce(excluded.end_reason, s.end_reason), \
             end_detail = coalesce(excluded.end_detail, s.end_detail), \
             end_information = coalesce(excluded.end_information, s.end_information), \
             partition = excluded.partition, \
             silent_since = case when excluded.last_heard < s.last_heard \
                 then s.silent_since end",
    )
    .bind(sessions.keys().map(|(router, _)| *router).collect::<Vec<_>>())
    .bind(sessions.keys().map(|(_, session)| *session).collect::<Vec<_>>())
    .bind(column(sessions, |s| clean(&s.collector)))
    .bind(column(sessions, |s| s.address.map(|address| address.to_string())))
    .bind(column(sessions, |s| s.remote_port))
    .bind(column(sessions, |s| s.sys_name.as_deref().map(clean)))
    .bind(column(sessions, |s| s.sys_descr.as_deref().map(clean)))
    .bind(column(sessions, |s| json(s.information.as_ref())))
    .bind(column(sessions, |s| s.heard))
    .bind(column(sessions, |s| s.messages))
    .bind(column(sessions, |s| s.octets))
    .bind(column(sessions, |s| s.peers))
    .bind(column(sessions, |s| s.ended))
    .bind(column(sessions, |s| s.end_reason))
    .bind(column(sessions, |s| s.end_detail.as_deref().map(clean)))
    .bind(column(sessions, |s| json(s.end_information.as_ref())))
    .bind(column(sessions, |s| s.partition))
    .execute(connection)
    .await?;
    Ok(())
}

/// A router's row says what its latest session says.
async fn apply_routers(
    connection: &mut PgConnection,
    sessions: &BTreeMap<(i32, i64), SessionChange>,
) -> sqlx::Result<()> {
    let mut routers: BTreeMap<i32, SessionChange> = BTreeMap::new();
    for ((router, _), change) in sessions {
        routers
            .entry(*router)
            .and_modify(|earlier| earlier.merge(change))
            .or_insert_with(|| change.clone());
    }
    sqlx::query(
        "update routers as r set \
             address = coalesce(n.address::inet, r.address), \
             sys_name = coalesce(n.sys_name, r.sys_name), \
             sys_descr = coalesce(n.sys_descr, r.sys_descr), \
             first_heard = least(r.first_heard, \
                 timestamptz 'epoch' + n.first_heard * interval '1 microsecond'), \
             last_heard = greatest(r.last_heard, \
                 timestamptz 'epoch' + n.heard * interval '1 microsecond') \
         from unnest($1::integer[], $2::text[], $3::text[], $4::text[], $5::bigint[], \
                 $6::bigint[]) \
             as n (id, address, sys_name, sys_descr, first_heard, heard) \
         where r.id = n.id",
    )
    .bind(routers.keys().copied().collect::<Vec<_>>())
    .bind(column(&routers, |r| r.address.map(|address| address.to_string())))
    .bind(column(&routers, |r| r.sys_name.as_deref().map(clean)))
    .bind(column(&routers, |r| r.sys_descr.as_deref().map(clean)))
    .bind(column(&routers, |r| r.first_heard))
    .bind(column(&routers, |r| r.heard))
    .execute(connection)
    .await?;
    Ok(())
}
