//! An event as rows, in the binary form that `COPY` takes.
//!
//! ```text
//!  Event ──► encode ──┬──► peer_events, route_events, evpn_events,      rows of
//!                     │    other_events, stats_reports,                 a Table
//!                     │    mirrored_messages
//!                     ├──► processing_times, where asked for
//!                     ├──► Step: what it says about its peer and routes
//!                     └──► SessionChange: what it says about a session
//!  BMP message ───────────► raw_messages
//! ```
//!
//! Every row begins with `peer_id`, a raw message's with `router_id`. While rows are
//! collected it holds the slot in the [`crate::inventory`]; the database's id is put
//! in its place just before the rows are written, so that encoding never waits for
//! the database.
//!
//! A row of the tables of routes ends with what the event did to the current
//! table: those columns, [`TAIL_COLUMNS`] of them, are counted in the row and
//! not there yet. [`crate::current`] appends them.

mod attributes;
mod change;
pub mod copy;
mod encode;
mod evpn;
pub mod json;
mod other;
mod peer;
mod raw;
mod reading;
mod route;
mod step;
mod update;

pub use change::SessionChange;
pub use encode::encode;
pub(crate) use peer::{header_asn, header_bgp_id};
pub use raw::{KafkaPlace, RawPlace};
pub use step::{Octets, PARTS, PeerSays, Place, RibTable, RouteStep, Signature, Step, Steps, Told};
pub(crate) use update::{ROUTE_COLUMNS, TAIL_COLUMNS};

use copy::PutColumn as _;

/// Why an event cannot become rows.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RowError {
    /// The event has no body, or one of a newer contract.
    #[error("the event has no body that this version knows")]
    NoBody,
    /// A body that speaks of a peer came without one.
    #[error("the event has no peer")]
    NoPeer,
    /// A number does not fit its column.
    #[error("{field} {value} is out of range")]
    OutOfRange {
        /// The field of the event.
        field: &'static str,
        /// What it holds.
        value: u64,
    },
    /// A prefix that is none.
    #[error("a prefix has {octets} octets of address and a length of {length}")]
    Prefix {
        /// How many octets its address has.
        octets: usize,
        /// Its length in bits.
        length: u32,
    },
}

impl RowError {
    /// A short, stable word to count by.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoBody => "no_body",
            Self::NoPeer => "no_peer",
            Self::OutOfRange { .. } => "out_of_range",
            Self::Prefix { .. } => "bad_prefix",
        }
    }
}

/// A hypertable that rows are copied into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Peer Up, Peer Down, End-of-RIB.
    PeerEvents,
    /// Announcements and withdrawals of prefixes.
    RouteEvents,
    /// The same of EVPN routes.
    EvpnEvents,
    /// The same of all other routes.
    OtherEvents,
    /// Statistics.
    StatsReports,
    /// Route Mirroring.
    MirroredMessages,
    /// BMP messages as received.
    RawMessages,
    /// When events passed where.
    ProcessingTimes,
}

/// A current table: of the routes whose history is in one of the hypertables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Current {
    /// Prefixes.
    Routes,
    /// EVPN routes.
    EvpnRoutes,
    /// All other routes.
    OtherRoutes,
}

impl Current {
    /// All.
    pub const ALL: [Self; 3] = [Self::Routes, Self::EvpnRoutes, Self::OtherRoutes];

    /// Its name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Routes => "routes",
            Self::EvpnRoutes => "evpn_routes",
            Self::OtherRoutes => "other_routes",
        }
    }

    /// The hypertable with its history.
    #[must_use]
    pub fn history(self) -> Table {
        match self {
            Self::Routes => Table::RouteEvents,
            Self::EvpnRoutes => Table::EvpnEvents,
            Self::OtherRoutes => Table::OtherEvents,
        }
    }
}

impl Table {
    /// All, in the order in which a transaction writes them.
    pub const ALL: [Self; 8] = [
        Self::PeerEvents,
        Self::RouteEvents,
        Self::EvpnEvents,
        Self::OtherEvents,
        Self::StatsReports,
        Self::MirroredMessages,
        Self::RawMessages,
        Self::ProcessingTimes,
    ];

    /// Its name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PeerEvents => "peer_events",
            Self::RouteEvents => "route_events",
            Self::EvpnEvents => "evpn_events",
            Self::OtherEvents => "other_events",
            Self::StatsReports => "stats_reports",
            Self::MirroredMessages => "mirrored_messages",
            Self::RawMessages => "raw_messages",
            Self::ProcessingTimes => "processing_times",
        }
    }

    /// The statement that takes its rows.
    #[must_use]
    pub fn copy_statement(self) -> &'static str {
        match self {
            Self::PeerEvents => peer::COPY_PEER_EVENTS,
            Self::RouteEvents => route::COPY_ROUTE_EVENTS,
            Self::EvpnEvents => evpn::COPY_EVPN_EVENTS,
            Self::OtherEvents => other::COPY_OTHER_EVENTS,
            Self::StatsReports => peer::COPY_STATS_REPORTS,
            Self::MirroredMessages => peer::COPY_MIRRORED_MESSAGES,
            Self::RawMessages => raw::COPY_RAW_MESSAGES,
            Self::ProcessingTimes => raw::COPY_PROCESSING_TIMES,
        }
    }
}

/// The rows of one table.
#[derive(Debug, Default)]
pub struct TableRows {
    bytes: Vec<u8>,
    /// Where each row begins.
    starts: Vec<u32>,
}

/// From a row's beginning to the octets of its first column: the number of columns and the
/// column's length.
const ID_AT: usize = 6;
/// The length of an id; a null has another.
const ID_LENGTH: [u8; 4] = [0, 0, 0, 4];

impl TableRows {
    /// Begins a row of `columns` columns of the peer with this slot.
    fn begin(&mut self, columns: i16, peer: PeerSlot) -> &mut Vec<u8> {
        self.begin_with(columns, Some(peer.0))
    }

    /// Begins a row of a router, null where it is not known.
    fn begin_router(&mut self, columns: i16, router: Option<RouterSlot>) -> &mut Vec<u8> {
        self.begin_with(columns, router.map(|router| router.0))
    }

    fn begin_with(&mut self, columns: i16, slot: Option<u32>) -> &mut Vec<u8> {
        // A batch is closed at a few tens of MiB, far below 4 GiB.
        self.starts.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
        self.bytes.extend_from_slice(&columns.to_be_bytes());
        if let Some(slot) = slot {
            self.bytes.extend_from_slice(&ID_LENGTH);
            self.bytes.extend_from_slice(&slot.to_be_bytes());
        } else {
            self.bytes.put_null();
        }
        &mut self.bytes
    }

    /// Puts ids in the place of slots.
    fn set_ids(&mut self, id: impl Fn(u32) -> i32) {
        for start in &self.starts {
            let at = *start as usize + ID_AT;
            if self.bytes[at - ID_LENGTH.len()..at] == ID_LENGTH
                && let Some(place) = self.bytes[at..].first_chunk_mut::<4>()
            {
                *place = id(u32::from_be_bytes(*place)).to_be_bytes();
            }
        }
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// The octets of some of the rows.
    #[must_use]
    pub fn slice(&self, rows: std::ops::Range<usize>) -> &[u8] {
        &self.bytes[self.start(rows.start)..self.start(rows.end)]
    }

    /// One row, from its number of columns on.
    #[must_use]
    pub fn row(&self, row: usize) -> &[u8] {
        self.slice(row..row + 1)
    }

    fn start(&self, row: usize) -> usize {
        self.starts.get(row).map_or(self.bytes.len(), |start| *start as usize)
    }

    fn truncate(&mut self, rows: usize) {
        self.bytes.truncate(self.start(rows));
        self.starts.truncate(rows);
    }

    fn clear(&mut self) {
        self.truncate(0);
    }
}

/// A peer's place in the [`crate::inventory`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerSlot(pub u32);

/// A router's place in the [`crate::inventory`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouterSlot(pub u32);

/// How far the rows had come: what was written before a record, or after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    rows: [u32; Table::ALL.len()],
    sessions: u32,
    steps: u32,
}

impl Mark {
    /// How many rows of a table are before it.
    #[must_use]
    pub fn rows(&self, table: Table) -> usize {
        self.rows[table as usize] as usize
    }
}

/// Rows of all tables, and what the events say about sessions, peers and routes, in
/// the order of the events.
#[derive(Debug, Default)]
pub struct Rows {
    tables: [TableRows; Table::ALL.len()],
    sessions: Vec<(RouterSlot, SessionChange)>,
    steps: Steps,
    scratch: update::Scratch,
}

impl Rows {
    /// The rows of one table.
    #[must_use]
    pub fn table(&self, table: Table) -> &TableRows {
        &self.tables[table as usize]
    }

    fn table_mut(&mut self, table: Table) -> &mut TableRows {
        &mut self.tables[table as usize]
    }

    /// Octets in all.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.tables.iter().map(|table| table.bytes.len()).sum()
    }

    /// Rows in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tables.iter().map(TableRows::len).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables.iter().all(TableRows::is_empty)
    }

    /// Where the rows end now.
    #[must_use]
    pub fn mark(&self) -> Mark {
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        Mark {
            rows: self.tables.each_ref().map(|table| count(table.starts.len())),
            sessions: count(self.sessions.len()),
            steps: count(self.steps.len()),
        }
    }

    /// The rows of one table between two marks.
    #[must_use]
    pub fn between(&self, table: Table, from: Mark, to: Mark) -> std::ops::Range<usize> {
        from.rows[table as usize] as usize..to.rows[table as usize] as usize
    }

    /// What is said of sessions between two marks.
    #[must_use]
    pub fn sessions(&self, from: Mark, to: Mark) -> &[(RouterSlot, SessionChange)] {
        &self.sessions[from.sessions as usize..to.sessions as usize]
    }

    /// The steps between two marks.
    #[must_use]
    pub fn steps(&self, from: Mark, to: Mark) -> &[Step] {
        &self.steps.as_slice()[from.steps as usize..to.steps as usize]
    }

    /// The octets that a step speaks of.
    #[must_use]
    pub fn octets(&self, place: Octets) -> &[u8] {
        self.steps.octets(place)
    }

    /// Takes back what was written after `mark`.
    pub fn truncate(&mut self, mark: Mark) {
        for (table, rows) in self.tables.iter_mut().zip(mark.rows) {
            table.truncate(rows as usize);
        }
        self.sessions.truncate(mark.sessions as usize);
        self.steps.truncate(mark.steps as usize);
    }

    /// Forgets all rows and keeps the memory for the next.
    pub fn clear(&mut self) {
        self.tables.iter_mut().for_each(TableRows::clear);
        self.sessions.clear();
        self.steps.clear();
    }

    /// Puts the database's ids in the place of the peers' and routers' slots. To be done once.
    pub fn set_ids(&mut self, peer: impl Fn(PeerSlot) -> i32, router: impl Fn(RouterSlot) -> i32) {
        for table in Table::ALL {
            let rows = self.table_mut(table);
            match table {
                Table::RawMessages => rows.set_ids(|slot| router(RouterSlot(slot))),
                _ => rows.set_ids(|slot| peer(PeerSlot(slot))),
            }
        }
    }
}
