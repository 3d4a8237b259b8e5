//! Which rows an event becomes.

use ribstream_proto::{
    record,
    v1::{self, event::Body},
};

use super::{
    PeerSlot, Place, RouterSlot, RowError, Rows, SessionChange, Step, change::information, peer,
    update::UpdateRows,
};

/// What the rows of an event have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Envelope {
    pub(super) peer: PeerSlot,
    pub(super) time: i64,
    pub(super) router_time: Option<i64>,
    pub(super) session: i64,
    pub(super) sequence: i64,
}

/// Appends the rows and changes of an event, which is in this partition since this time.
///
/// # Errors
/// The event cannot be stored. What was written of it is taken back.
pub fn encode(
    event: &v1::Event,
    partition: i32,
    logged: i64,
    router: RouterSlot,
    peer: Option<PeerSlot>,
    rows: &mut Rows,
) -> Result<(), RowError> {
    let before = rows.mark();
    let result = append(event, partition, logged, router, peer, rows);
    if result.is_err() {
        rows.truncate(before);
    }
    result
}

fn append(
    event: &v1::Event,
    partition: i32,
    logged: i64,
    router: RouterSlot,
    peer: Option<PeerSlot>,
    rows: &mut Rows,
) -> Result<(), RowError> {
    let time = number("received_at", event.received_at)?;
    let session = number("session", event.session)?;
    let sequence = number("sequence", event.sequence)?;
    let router_time = event.router_time.map(|time| number("router_time", time)).transpose()?;
    let envelope = || {
        let peer = peer.ok_or(RowError::NoPeer)?;
        Ok(Envelope { peer, time, router_time, session, sequence })
    };
    let header = || event.peer.as_ref().ok_or(RowError::NoPeer);
    let change = |change: SessionChange| {
        let change = SessionChange {
            session,
            partition,
            collector: event.collector.clone(),
            address: record::ip(&event.router_address),
            first_heard: time,
            heard: logged,
            ..change
        };
        (router, change)
    };
    if let Some(peer) = peer {
        let peer_sequence = number("peer_sequence", event.peer_sequence)?;
        let place = Place { peer, session, sequence, peer_sequence, time, logged, router_time };
        rows.steps.push(Step::Event(place));
    }
    match event.body.as_ref().ok_or(RowError::NoBody)? {
        Body::RouteUpdate(update) => {
            rows.steps.push(Step::Monitored);
            UpdateRows::new(envelope()?, rows).append(update)
        }
        Body::PeerUp(up) => peer::append_up(envelope()?, header()?, up, rows),
        Body::PeerDown(down) => peer::append_down(envelope()?, header()?, down, rows),
        Body::StatsReport(report) => peer::append_statistics(envelope()?, report, rows),
        Body::RouteMirror(mirror) => peer::append_mirrored(envelope()?, mirror, rows),
        Body::RouterUp(up) => {
            rows.sessions.push(change(SessionChange {
                remote_port: nonzero(up.remote_port),
                sys_name: up.sys_name.clone(),
                sys_descr: up.sys_descr.clone(),
                information: information(&up.information),
                ..SessionChange::default()
            }));
            Ok(())
        }
        Body::RouterDown(down) => {
            rows.sessions.push(change(SessionChange {
                ended: Some(time),
                end_reason: i16::try_from(down.reason).ok(),
                end_detail: (!down.detail.is_empty()).then(|| down.detail.clone()),
                end_information: information(&down.information),
                ..SessionChange::default()
            }));
            Ok(())
        }
        Body::Heartbeat(beat) => {
            rows.sessions.push(change(SessionChange {
                messages: Some(number("messages", beat.messages)?),
                octets: Some(number("octets", beat.octets)?),
                peers: i32::try_from(beat.peers).ok(),
                ..SessionChange::default()
            }));
            Ok(())
        }
    }
}

/// A number that `bigint` can hold.
fn number(field: &'static str, value: u64) -> Result<i64, RowError> {
    i64::try_from(value).map_err(|_| RowError::OutOfRange { field, value })
}

/// A number that its column can hold.
pub(super) fn small<T, U>(field: &'static str, value: T) -> Result<U, RowError>
where
    T: Copy + Into<i64>,
    U: TryFrom<T>,
{
    U::try_from(value)
        .map_err(|_| RowError::OutOfRange { field, value: value.into().unsigned_abs() })
}

/// A number that is zero where it is not known.
pub(super) fn nonzero(value: u32) -> Option<i32> {
    i32::try_from(value).ok().filter(|value| *value != 0)
}
