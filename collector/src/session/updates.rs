//! The UPDATEs of Route Monitoring messages.

use ribstream_proto::family::AfiSafi;
use smallvec::SmallVec;

use super::{
    dump::Routes,
    peer::{Peer, Reading},
};
use crate::{
    bgp::{self, AsWidth, NlriField, PathIds, Update},
    bmp::{PeerHeader, RouteMonitoring, View},
    event::route_update::Context,
    wire::{Malformed, Reader},
};

/// The UPDATEs of one message: nearly always one.
pub(super) type Updates<'f> = SmallVec<[(Context, Update<'f>); 1]>;

/// Reads the UPDATEs of a Route Monitoring message, up to the first that cannot
/// be read, and says what is wrong with that.
pub(super) fn read<'f>(
    peer: &mut Peer,
    header: &PeerHeader,
    monitoring: &RouteMonitoring<'f>,
    now: u64,
    updates: &mut Updates<'f>,
) -> Result<(), Malformed> {
    let view = header.view();
    let mut reader = Reader::new(monitoring.updates);
    loop {
        let message = bgp::Message::read(&mut reader)?;
        let update = Update::parse(message, &mut Reading { peer, view, monitoring })?;
        let (initial_dump, dump_over) = dumps(peer, view, &update, now);
        let promised = |field: &NlriField<'_>| {
            let stateless = monitoring.path_ids(view, field.family);
            stateless.unwrap_or_else(|| peer.path_ids_negotiated(view, field.family))
        };
        let context = Context { initial_dump, dump_over, ..context(header, &update, promised) };
        updates.push((context, update));
        if !reader.any_left() {
            return Ok(());
        }
    }
}

/// Whether the UPDATE belongs to a dump, and which tables it shows to have been dumped.
fn dumps(peer: &mut Peer, view: View, update: &Update<'_>, now: u64) -> (bool, Vec<AfiSafi>) {
    let mut over = Vec::new();
    if let Some(family) = update.end_of_rib
        && peer.dumps.end_of_rib(view, family, now)
    {
        over.push(family);
    }
    let mut initial_dump = false;
    for field in &update.announced {
        match peer.dumps.announced(view, field.family, now) {
            Routes::OfDump => initial_dump = true,
            Routes::FirstNews => over.push(field.family),
            Routes::News => {}
        }
    }
    (initial_dump, over)
}

/// What the session knows of an UPDATE beside its bytes; `promised` is what was
/// said about the path identifiers of a field.
pub(super) fn context(
    header: &PeerHeader,
    update: &Update<'_>,
    promised: impl Fn(&NlriField<'_>) -> PathIds,
) -> Context {
    let overruled = |field: &NlriField<'_>| -> Option<PathIds> {
        field.path_ids.filter(|taken| *taken != promised(field))
    };
    Context {
        view: header.view(),
        filtered: header.is_filtered(),
        claimed_as_width: if header.claims_two_octet_as_path() {
            AsWidth::Two
        } else {
            AsWidth::Four
        },
        path_ids_overruled: update.announced.iter().chain(&update.withdrawn).find_map(overruled),
        initial_dump: false,
        dump_over: Vec::new(),
    }
}
