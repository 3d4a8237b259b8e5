//! What the events of a batch say about peers and routes, in order: what
//! [`crate::current`] makes the current tables of.

use ribstream_proto::v1::Family;
use sha2::{Digest as _, Sha256};

use super::{PeerSlot, RowError, Table, encode::small};

/// One thing that an event says. Those of an event follow its [`Step::Event`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// An event of a peer begins.
    Event(Place),
    /// A Peer Up.
    Up(PeerSays, Told),
    /// A Peer Down, for this reason.
    Down(PeerSays, i32),
    /// A Route Monitoring.
    Monitored,
    /// A route was announced or withdrawn.
    Route(RouteStep),
    /// The dump of a table is over.
    DumpOver(RibTable),
}

/// What a Peer Up tells of a peer that its session holds already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// That it came up anew.
    Anew,
    /// That it is up, for another of its tables.
    ForAnotherTable,
    /// That it is up, once more, and perhaps a dump.
    Again,
}

/// Which event of which peer, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The peer.
    pub peer: PeerSlot,
    /// The BMP session.
    pub session: i64,
    /// Number of the BMP message in it.
    pub sequence: i64,
    /// Number of the event among those of its peer in the session; 0 where not counted.
    pub peer_sequence: i64,
    /// Receive time, microseconds since 1970, by the collector's clock.
    pub time: i64,
    /// When it came into the topic, by the clock that all of the topic's events have in common:
    /// what happened in different sessions is compared by this.
    pub logged: i64,
    /// The router's clock.
    pub router_time: Option<i64>,
}

/// What a Peer Up or Peer Down says about its peer by the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerSays {
    /// AS number in the Per-Peer Header.
    pub asn: Option<i64>,
    /// BGP Identifier in the Per-Peer Header.
    pub bgp_id: Option<std::net::IpAddr>,
}

/// A table of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RibTable {
    /// Which view.
    pub view: i16,
    /// Address family.
    pub afi: i32,
    /// Subsequent address family.
    pub safi: i16,
}

impl RibTable {
    /// The table of a family.
    pub(super) fn new(view: i16, family: Family) -> Result<Self, RowError> {
        Ok(Self { view, afi: small("afi", family.afi)?, safi: small("safi", family.safi)? })
    }
}

/// A route of an event: its row, and what tells it from others and from itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteStep {
    /// Which table its row is in.
    pub table: Table,
    /// The row's number there.
    pub row: u32,
    /// It is withdrawn.
    pub withdraw: bool,
    /// Which of the peer's tables.
    pub rib: RibTable,
    /// Its [`RouteKey`].
    pub key: Octets,
    /// Its [`Signature`]; of a withdrawal empty.
    pub signature: Octets,
}

/// A place in [`Steps`]' octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Octets {
    at: u32,
    length: u32,
}

/// Steps, and the octets that they speak of.
#[derive(Debug, Default)]
pub struct Steps {
    steps: Vec<Step>,
    octets: Vec<u8>,
}

impl Steps {
    pub(super) fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    pub(super) fn push_octets(&mut self, octets: &[u8]) -> Octets {
        // A batch's octets are fewer than its rows', which are below 4 GiB.
        let at = u32::try_from(self.octets.len()).unwrap_or(u32::MAX);
        self.octets.extend_from_slice(octets);
        Octets { at, length: u32::try_from(octets.len()).unwrap_or(u32::MAX) }
    }

    /// All steps.
    #[must_use]
    pub fn as_slice(&self) -> &[Step] {
        &self.steps
    }

    /// The octets at a place.
    #[must_use]
    pub fn octets(&self, place: Octets) -> &[u8] {
        let at = place.at as usize;
        &self.octets[at..at + place.length as usize]
    }

    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// Octets of the steps behind the last one kept are lost with the batch.
    pub(super) fn truncate(&mut self, steps: usize) {
        self.steps.truncate(steps);
    }

    pub(super) fn clear(&mut self) {
        self.steps.clear();
        self.octets.clear();
    }
}

/// NLRI up to this are part of the key as they are.
const MAX_NLRI: usize = 256;

/// Writes what names a route among those of its peer: view, family, path identifier,
/// and what tells its NLRI from others ([`ribstream_proto::key`]). Of a long NLRI
/// (flow specifications and link states may be) its beginning and its SHA-256.
pub(super) fn put_key(out: &mut Vec<u8>, table: RibTable, path_id: Option<u32>, nlri: &[u8]) {
    out.clear();
    // Views and families are numbers of one, two and one octets.
    out.push(table.view.to_be_bytes()[1]);
    out.extend_from_slice(&table.afi.to_be_bytes()[2..]);
    out.push(table.safi.to_be_bytes()[1]);
    match path_id {
        Some(id) => {
            out.push(1);
            out.extend_from_slice(&id.to_be_bytes());
        }
        None => out.push(0),
    }
    if nlri.len() <= MAX_NLRI {
        out.extend_from_slice(nlri);
    } else {
        // Longer than any that is kept as it is, so that none is equal to it.
        out.extend_from_slice(&nlri[..MAX_NLRI]);
        out.extend_from_slice(&Sha256::digest(nlri));
    }
}

/// What may change of a route, each a bit of a [`Signature`] and of the column `changed`.
pub const PARTS: [&str; 16] = [
    "next_hop",
    "nlri",
    "origin",
    "as_path",
    "med",
    "local_pref",
    "atomic_aggregate",
    "aggregator",
    "communities",
    "extended_communities",
    "large_communities",
    "originator_id",
    "cluster_list",
    "only_to_customer",
    "other_attributes",
    "further_attributes",
];

/// A route's version, part by part: which it has (a bit each, 4 octets), then 8 octets
/// of the SHA-256 of each. Two versions are the same where their signatures are.
#[derive(Clone, Copy, Debug)]
pub struct Signature<'a>(pub &'a [u8]);

impl Signature<'_> {
    fn parts(&self) -> u32 {
        self.0.first_chunk().map_or(0, |parts| u32::from_be_bytes(*parts))
    }

    fn part(&self, bit: u32) -> Option<&[u8]> {
        let parts = self.parts();
        if parts & (1 << bit) == 0 {
            return None;
        }
        let before = (parts & ((1 << bit) - 1)).count_ones() as usize;
        self.0.get(4 + before * 8..12 + before * 8)
    }

    /// The parts that are not the same, a bit each, as numbered in [`PARTS`].
    #[must_use]
    pub fn changed(&self, other: &Signature<'_>) -> i32 {
        (0..16).filter(|bit| self.part(*bit) != other.part(*bit)).map(|bit| 1 << bit).sum()
    }
}

/// Builds signatures, part by part in the order of [`PARTS`].
#[derive(Clone, Debug, Default)]
pub(super) struct SignatureWriter {
    parts: u32,
    digests: Vec<u8>,
}

impl SignatureWriter {
    pub(super) fn clear(&mut self) {
        self.parts = 0;
        self.digests.clear();
    }

    /// Adds a part from its columns as they are copied; one that is null is none.
    pub(super) fn add(&mut self, bit: u32, columns: &[u8]) {
        // Of one column or several, each a length and that many octets.
        if columns.chunks(4).all(|length| length == [0xff; 4]) {
            return;
        }
        self.parts |= 1 << bit;
        self.digests.extend_from_slice(&Sha256::digest(columns)[..8]);
    }

    /// Appends the signature whose first parts are `first`'s.
    pub(super) fn put(&self, first: &Self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.parts | first.parts).to_be_bytes());
        out.extend_from_slice(&first.digests);
        out.extend_from_slice(&self.digests);
    }
}

/// The next column of a row: its length and its octets.
pub(super) fn next_column<'a>(columns: &mut &'a [u8]) -> &'a [u8] {
    let length = columns.first_chunk().map_or(-1, |length| i32::from_be_bytes(*length));
    let whole = 4 + usize::try_from(length).unwrap_or(0);
    let (column, rest) = columns.split_at(whole.min(columns.len()));
    *columns = rest;
    column
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::copy::{PutColumn as _, PutOptional as _};

    fn signature(columns: &[(u32, Option<i64>)]) -> Vec<u8> {
        let (mut writer, mut out) = (SignatureWriter::default(), Vec::new());
        for (bit, value) in columns {
            let mut column = Vec::new();
            column.put_opt_i64(*value);
            writer.add(*bit, &column);
        }
        writer.put(&SignatureWriter::default(), &mut out);
        out
    }

    #[test]
    fn a_signature_tells_which_parts_have_changed() {
        let before = signature(&[(0, Some(1)), (4, Some(2)), (5, None), (8, Some(4))]);
        let after = signature(&[(0, Some(1)), (4, Some(3)), (5, Some(9)), (8, None)]);
        let changed = Signature(&before).changed(&Signature(&after));
        assert_eq!(changed, 1 << 4 | 1 << 5 | 1 << 8);
        assert_eq!(Signature(&before).changed(&Signature(&before)), 0);
    }

    #[test]
    fn a_long_nlri_has_a_key_of_its_own() {
        let table = RibTable { view: 1, afi: 16_388, safi: 71 };
        let key = |nlri: &[u8]| {
            let mut key = Vec::new();
            put_key(&mut key, table, None, nlri);
            key
        };
        let mut long = vec![7; 4000];
        let first = key(&long);
        *long.last_mut().unwrap() = 8;
        assert_ne!(first, key(&long));
        assert!(first.len() < 300);
        assert_ne!(key(&[]), key(&[0]));
    }

    #[test]
    fn a_path_identifier_is_not_taken_for_a_prefix() {
        let table = RibTable { view: 1, afi: 1, safi: 1 };
        let (mut with, mut without) = (Vec::new(), Vec::new());
        put_key(&mut with, table, Some(0), &[8, 10]);
        put_key(&mut without, table, None, &[0, 0, 0, 0, 8, 10]);
        assert_ne!(with, without);
    }

    #[test]
    fn columns_are_walked_by_their_lengths() {
        let mut row = Vec::new();
        row.put_null();
        row.put_text("ab");
        let mut rest = row.as_slice();
        assert_eq!(next_column(&mut rest), [0xff; 4]);
        assert_eq!(next_column(&mut rest), *b"\0\0\0\x02ab");
        assert!(next_column(&mut rest).is_empty());
    }
}
