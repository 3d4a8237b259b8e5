//! The Per-Peer Header (RFC 7854, 4.2; flags also RFC 8671, 5 and RFC 9069, 4.2).
//!
//! ```text
//! +-----------+------------+-----------------------------+
//! | Peer Type | Peer Flags | Peer Distinguisher (8)      |
//! +-----------+------------+-----------------------------+
//! | Peer Address (16)                                    |
//! +----------------------+-------------------------------+
//! | Peer AS (4)          | Peer BGP ID (4)               |
//! +----------------------+-------------------------------+
//! | Timestamp seconds (4)| Timestamp microseconds (4)    |
//! +----------------------+-------------------------------+
//! ```

use ribstream_proto::v1;

use crate::wire::{Malformed, Reader};

const PEER_TYPE_LOC_RIB: u8 = 3;

const FLAG_IPV6: u8 = 0x80;
/// The same bit as [`FLAG_IPV6`], for a Loc-RIB.
const FLAG_FILTERED: u8 = 0x80;
const FLAG_POST_POLICY: u8 = 0x40;
const FLAG_TWO_OCTET_AS_PATH: u8 = 0x20;
const FLAG_ADJ_RIB_OUT: u8 = 0x10;

/// A decoded Per-Peer Header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerHeader {
    /// Peer Type, by number.
    pub peer_type: u8,
    /// Peer Flags as sent.
    pub flags: u8,
    /// Peer Distinguisher.
    pub distinguisher: [u8; 8],
    /// Peer Address; an IPv4 address is in the last 4 octets.
    pub address: [u8; 16],
    /// Peer AS.
    pub asn: u32,
    /// Peer BGP ID.
    pub bgp_id: [u8; 4],
    /// Timestamp, whole seconds.
    pub seconds: u32,
    /// Timestamp, microseconds.
    pub microseconds: u32,
}

/// Which of a peer's tables a message speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum View {
    /// Adj-RIB-In before policy.
    AdjInPre,
    /// Adj-RIB-In after policy.
    AdjInPost,
    /// Adj-RIB-Out before policy.
    AdjOutPre,
    /// Adj-RIB-Out after policy.
    AdjOutPost,
    /// The Loc-RIB.
    LocRib,
}

impl From<View> for v1::RibView {
    fn from(view: View) -> Self {
        match view {
            View::AdjInPre => Self::AdjRibInPre,
            View::AdjInPost => Self::AdjRibInPost,
            View::AdjOutPre => Self::AdjRibOutPre,
            View::AdjOutPost => Self::AdjRibOutPost,
            View::LocRib => Self::LocRib,
        }
    }
}

/// Who a peer is. The BGP ID belongs to it only for a Loc-RIB: the Loc-RIBs of
/// one router's BGP instances differ in nothing else (FRR).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerId {
    peer_type: u8,
    distinguisher: [u8; 8],
    address: [u8; 16],
    loc_rib_bgp_id: [u8; 4],
}

impl PeerHeader {
    /// Reads the 42 octets.
    #[inline]
    pub fn parse(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        const WHAT: &str = "per-peer header";
        Ok(Self {
            peer_type: reader.u8(WHAT)?,
            flags: reader.u8(WHAT)?,
            distinguisher: reader.array(WHAT)?,
            address: reader.array(WHAT)?,
            asn: reader.u32(WHAT)?,
            bgp_id: reader.array(WHAT)?,
            seconds: reader.u32(WHAT)?,
            microseconds: reader.u32(WHAT)?,
        })
    }

    /// Who the peer is.
    #[must_use]
    pub fn id(&self) -> PeerId {
        PeerId {
            peer_type: self.peer_type,
            distinguisher: self.distinguisher,
            address: self.address,
            loc_rib_bgp_id: if self.is_loc_rib() { self.bgp_id } else { [0; 4] },
        }
    }

    /// Peer Type 3 (RFC 9069).
    #[must_use]
    pub const fn is_loc_rib(&self) -> bool {
        self.peer_type == PEER_TYPE_LOC_RIB
    }

    /// The table that the message speaks of.
    #[must_use]
    pub const fn view(&self) -> View {
        let post = self.flags & FLAG_POST_POLICY != 0;
        match (self.is_loc_rib(), self.flags & FLAG_ADJ_RIB_OUT != 0) {
            (true, _) => View::LocRib,
            (false, false) if post => View::AdjInPost,
            (false, false) => View::AdjInPre,
            (false, true) if post => View::AdjOutPost,
            (false, true) => View::AdjOutPre,
        }
    }

    /// The F flag of a Loc-RIB.
    #[must_use]
    pub const fn is_filtered(&self) -> bool {
        self.is_loc_rib() && self.flags & FLAG_FILTERED != 0
    }

    /// The A flag: the message says that its AS_PATH has 2 octets an AS. A
    /// Loc-RIB has no such flag.
    #[must_use]
    pub const fn claims_two_octet_as_path(&self) -> bool {
        !self.is_loc_rib() && self.flags & FLAG_TWO_OCTET_AS_PATH != 0
    }

    /// Whether addresses in this message are IPv6. A router that leaves the V
    /// flag clear on an IPv6 peer is known by the octets before the last four.
    #[must_use]
    pub fn is_ipv6(&self) -> bool {
        !self.is_loc_rib()
            && (self.flags & FLAG_IPV6 != 0 || self.address.iter().take(12).any(|&b| b != 0))
    }

    /// The peer's address, 4 or 16 octets; none for a Loc-RIB.
    #[must_use]
    pub fn address(&self) -> &[u8] {
        if self.is_loc_rib() { &[] } else { sized(&self.address, self.is_ipv6()) }
    }

    /// The router's clock in microseconds since the epoch, unless it left it zero.
    #[must_use]
    pub const fn router_time(&self) -> Option<u64> {
        if self.seconds == 0 && self.microseconds == 0 {
            None
        } else {
            Some(self.seconds as u64 * 1_000_000 + self.microseconds as u64)
        }
    }
}

/// The octets of a 16-octet address field that hold the address.
pub(super) fn sized(field: &[u8; 16], ipv6: bool) -> &[u8] {
    match field.last_chunk::<4>() {
        Some(v4) if !ipv6 => v4,
        _ => field,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn header(peer_type: u8, flags: u8) -> PeerHeader {
        let mut address = [0; 16];
        address[12..].copy_from_slice(&[192, 0, 2, 11]);
        PeerHeader {
            peer_type,
            flags,
            distinguisher: [0; 8],
            address,
            asn: 65011,
            bgp_id: [192, 0, 2, 11],
            seconds: 0,
            microseconds: 0,
        }
    }

    #[test]
    fn the_view_comes_from_type_and_flags_together() {
        assert_eq!(header(0, 0).view(), View::AdjInPre);
        assert_eq!(header(1, 0x40).view(), View::AdjInPost);
        assert_eq!(header(0, 0x10).view(), View::AdjOutPre);
        assert_eq!(header(2, 0x50).view(), View::AdjOutPost);
        assert_eq!(header(3, 0x40).view(), View::LocRib);
    }

    #[test]
    fn flags_are_not_part_of_who_the_peer_is() {
        assert_eq!(header(0, 0x20).id(), header(0, 0x50).id());
        assert_ne!(header(0, 0).id(), header(1, 0).id());
    }

    #[test]
    fn loc_ribs_of_two_instances_differ_by_bgp_id_and_other_peers_do_not() {
        let other = |h: PeerHeader| PeerHeader { bgp_id: [192, 0, 2, 99], ..h };
        assert_ne!(header(3, 0).id(), other(header(3, 0)).id());
        assert_eq!(header(0, 0).id(), other(header(0, 0)).id());
    }

    #[test]
    fn a_zero_timestamp_is_no_timestamp() {
        assert_eq!(header(0, 0).router_time(), None);
        let at = PeerHeader { seconds: 2, microseconds: 3, ..header(0, 0) };
        assert_eq!(at.router_time(), Some(2_000_003));
    }

    #[test]
    fn an_ipv6_peer_without_the_v_flag_keeps_its_address() {
        let mut v6 = header(0, 0);
        v6.address[0] = 0x20;
        assert_eq!(v6.address().len(), 16);
        assert_eq!(header(0, 0).address(), [192, 0, 2, 11]);
        assert!(header(3, 0).address().is_empty());
    }
}
