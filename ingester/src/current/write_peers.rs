//! Writes what is known of peers: holds, epochs, dumps, gaps.

use std::collections::HashMap;

use sqlx::PgConnection;

use super::peer::{End, Epoch, Hold, PeerState, Word};

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
    let logged = |hold: &&Hold| began(hold).map(|_| hold.logged);
    sqlx::query(
        "insert into peer_holds as h (peer_id, session, up, began, began_sequence, peer_sequence, \
             ended, end_reason, router_time, overtaken, logged) \
         select peer_id, session, up, timestamptz 'epoch' + began * interval '1 microsecond', \
             began_sequence, peer_sequence, \
             timestamptz 'epoch' + ended * interval '1 microsecond', end_reason, \
             timestamptz 'epoch' + router_time * interval '1 microsecond', overtaken, \
             timestamptz 'epoch' + logged * interval '1 microsecond' \
         from unnest($1::integer[], $2::bigint[], $3::boolean[], $4::bigint[], $5::bigint[], \
             $6::bigint[], $7::bigint[], $8::integer[], $9::bigint[], $10::boolean[], \
             $11::bigint[]) \
             as n (peer_id, session, up, began, began_sequence, peer_sequence, ended, end_reason, \
                 router_time, overtaken, logged) \
         on conflict (peer_id, session) do update set up = excluded.up, \
             began = excluded.began, began_sequence = excluded.began_sequence, \
             peer_sequence = excluded.peer_sequence, ended = excluded.ended, \
             end_reason = excluded.end_reason, router_time = excluded.router_time, \
             overtaken = excluded.overtaken, logged = excluded.logged",
    )
    .bind(ids(&holds))
    .bind(column(&holds, |hold| hold.session))
    .bind(column(&holds, |hold| match hold.word {
        Word::Nothing => None,
        Word::Up => Some(true),
        Word::Down | Word::Overtaken => Some(false),
    }))
    .bind(column(&holds, began))
    .bind(column(&holds, |hold| hold.began_sequence))
    .bind(column(&holds, |hold| hold.peer_sequence))
    .bind(column(&holds, |hold| hold.ended))
    .bind(column(&holds, |hold| hold.end_reason))
    .bind(column(&holds, |hold| hold.router_time))
    .bind(column(&holds, |hold| hold.word == Word::Overtaken))
    .bind(column(&holds, logged))
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
                 timestamptz 'epoch' + ended * interval '1 microsecond' as ended, \
                 timestamptz 'epoch' + logged * interval '1 microsecond' as logged, place \
             from unnest($1::integer[], $2::smallint[], $3::integer[], $4::smallint[], \
                 $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[]) \
                 with ordinality \
                 as n (peer_id, view, afi, safi, session, sequence, began, ended, logged, place) \
         ), history as ( \
             insert into dump_events \
                 (time, session, sequence, peer_id, view, afi, safi, began, logged) \
             select ended, session, sequence, peer_id, view, afi, safi, began, logged from n \
         ) \
         insert into rib_dumps (peer_id, view, afi, safi, session, sequence, began, ended, logged) \
         select distinct on (peer_id, view, afi, safi) \
             peer_id, view, afi, safi, session, sequence, began, ended, logged \
         from n order by peer_id, view, afi, safi, place desc \
         on conflict (peer_id, view, afi, safi) do update set session = excluded.session, \
             sequence = excluded.sequence, began = excluded.began, ended = excluded.ended, \
             logged = excluded.logged",
    )
    .bind(ids(&dumps))
    .bind(column(&dumps, |(table, _)| table.view))
    .bind(column(&dumps, |(table, _)| table.afi))
    .bind(column(&dumps, |(table, _)| table.safi))
    .bind(column(&dumps, |(_, dump)| dump.session))
    .bind(column(&dumps, |(_, dump)| dump.sequence))
    .bind(column(&dumps, |(_, dump)| dump.began))
    .bind(column(&dumps, |(_, dump)| dump.ended))
    .bind(column(&dumps, |(_, dump)| dump.logged))
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
