//! What every event begins with.

use super::Writer;
use crate::bmp::PeerHeader;

/// Field numbers of `ribstream.v1.Event`.
mod field {
    pub(super) const COLLECTOR: u32 = 1;
    pub(super) const ROUTER: u32 = 2;
    pub(super) const ROUTER_ADDRESS: u32 = 3;
    pub(super) const SESSION: u32 = 4;
    pub(super) const SEQUENCE: u32 = 5;
    pub(super) const RECEIVED_AT: u32 = 6;
    pub(super) const ROUTER_TIME: u32 = 7;
    pub(super) const PEER: u32 = 8;
}

/// Field numbers of `ribstream.v1.Peer`.
mod peer_field {
    pub(super) const TYPE: u32 = 1;
    pub(super) const DISTINGUISHER: u32 = 2;
    pub(super) const ADDRESS: u32 = 3;
    pub(super) const ASN: u32 = 4;
    pub(super) const BGP_ID: u32 = 5;
    pub(super) const FLAGS: u32 = 6;
    pub(super) const TABLE_NAME: u32 = 7;
}

/// The fields that are the same for every event of a session, written once.
#[derive(Debug)]
pub struct SessionFields(Vec<u8>);

impl SessionFields {
    /// `router_address` is 4 or 16 octets.
    #[must_use]
    pub fn new(collector: &str, router: &str, router_address: &[u8], session: u64) -> Self {
        let mut writer = Writer::default();
        writer.bytes(field::COLLECTOR, collector.as_bytes());
        writer.bytes(field::ROUTER, router.as_bytes());
        writer.bytes(field::ROUTER_ADDRESS, router_address);
        writer.uint(field::SESSION, session);
        Self(writer.as_slice().to_vec())
    }
}

/// Which message an event comes from.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The nth message of the session.
    pub sequence: u64,
    /// Microseconds since the epoch.
    pub received_at: u64,
}

/// Begins an event: everything but its body.
#[inline]
pub fn begin(
    writer: &mut Writer,
    session: &SessionFields,
    place: Place,
    peer: Option<(&PeerHeader, &str)>,
) {
    writer.clear();
    writer.raw(&session.0);
    writer.uint(field::SEQUENCE, place.sequence);
    writer.uint(field::RECEIVED_AT, place.received_at);
    let Some((header, table_name)) = peer else { return };
    if let Some(time) = header.router_time() {
        writer.optional_uint(field::ROUTER_TIME, time);
    }
    writer.message(field::PEER, |w| {
        w.uint(peer_field::TYPE, header.peer_type.into());
        if header.distinguisher != [0; 8] {
            w.bytes(peer_field::DISTINGUISHER, &header.distinguisher);
        }
        w.bytes(peer_field::ADDRESS, header.address());
        w.uint(peer_field::ASN, header.asn.into());
        w.bytes(peer_field::BGP_ID, &header.bgp_id);
        w.uint(peer_field::FLAGS, header.flags.into());
        w.bytes(peer_field::TABLE_NAME, table_name.as_bytes());
    });
}
