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
    pub(super) const PEER_SEQUENCE: u32 = 9;
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

/// The `Peer` of a peer's events, written anew only when it has changed.
#[derive(Debug, Default)]
pub struct PeerField {
    of: Option<PeerHeader>,
    table_name: String,
    field: Vec<u8>,
}

impl PeerField {
    /// The field for a message with `header`, whose time is no part of it.
    #[inline]
    pub fn of(&mut self, header: &PeerHeader, table_name: &str) -> &[u8] {
        let header = PeerHeader { seconds: 0, microseconds: 0, ..*header };
        // Most have none, and to compare nothing is not free: C's function looks at addresses where
        // nothing is, which a processor takes long to forgive.
        let renamed =
            !(table_name.is_empty() && self.table_name.is_empty()) && self.table_name != table_name;
        if renamed || self.of != Some(header) {
            self.of = Some(header);
            table_name.clone_into(&mut self.table_name);
            self.field = write_peer(&header, table_name);
        }
        &self.field
    }
}

fn write_peer(header: &PeerHeader, table_name: &str) -> Vec<u8> {
    let mut writer = Writer::default();
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
    writer.as_slice().to_vec()
}

/// Begins an event: everything but its body. It is the `number`th of its peer or, of
/// those without one, of the router. Of an event about a peer, `peer` is the
/// router's time and the [`PeerField`].
#[inline]
pub fn begin(
    writer: &mut Writer,
    session: &SessionFields,
    place: Place,
    number: u64,
    peer: Option<(Option<u64>, &[u8])>,
) {
    writer.clear();
    writer.raw(&session.0);
    writer.uint(field::SEQUENCE, place.sequence);
    writer.uint(field::RECEIVED_AT, place.received_at);
    if let Some((router_time, field)) = peer {
        if let Some(time) = router_time {
            writer.optional_uint(field::ROUTER_TIME, time);
        }
        writer.raw(field);
    }
    writer.uint(field::PEER_SEQUENCE, number);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(flags: u8) -> PeerHeader {
        PeerHeader {
            peer_type: 0,
            flags,
            distinguisher: [0; 8],
            address: [0x20; 16],
            asn: 65011,
            bgp_id: [192, 0, 2, 11],
            seconds: 0,
            microseconds: 0,
        }
    }

    #[test]
    fn a_peer_is_written_anew_when_anything_of_it_has_changed() {
        let mut field = PeerField::default();
        let mut of = |header: &PeerHeader, table_name: &str| {
            assert_eq!(field.of(header, table_name), write_peer(header, table_name));
            field.of(header, table_name).to_vec()
        };
        let plain = of(&header(0), "");
        let later = PeerHeader { seconds: 9, ..header(0) };
        assert_eq!(of(&later, ""), plain);
        assert_ne!(of(&header(0x40), ""), plain);
        assert_ne!(of(&header(0), "blue"), plain);
        assert_eq!(of(&header(0), ""), plain);
    }
}
