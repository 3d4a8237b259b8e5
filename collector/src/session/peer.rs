//! What a session knows of one peer.

use ribstream_proto::{family::AfiSafi, record};
use smallvec::SmallVec;

use super::dump::Dumps;
use crate::{
    bgp::{AddPathMode, AsWidth, Open, PathIds, ReadAs},
    bmp::{PeerHeader, PeerId, PeerUp, RouteMonitoring, View, type_of},
    event::{
        Writer,
        convert::Told,
        envelope::{self, PeerField, Place, SessionFields},
    },
};

/// A peer, from the first message that names it to the end of the session.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: PeerId,
    /// The key of its records.
    pub(super) key: Vec<u8>,
    /// How many events it has had.
    events: u64,
    /// The last Per-Peer Header.
    pub(super) header: PeerHeader,
    /// The VRF/Table Name of its Peer Up.
    table_name: String,
    /// How its events name it.
    field: PeerField,
    /// Held up by this session.
    pub(super) up: bool,
    /// A Peer Up or Peer Down has been received.
    announced: bool,
    pub(super) dumps: Dumps,
    opens: Option<Opens>,
    /// The Peer Ups of the BGP session that is up.
    views_up: SmallVec<[UpOf; 2]>,
    /// That session, where the router tells what it can be known by.
    connection: Option<Connection>,
    learned: Vec<(View, AfiSafi, PathIds)>,
}

/// What tells the Peer Ups of one BGP session from those of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct UpOf {
    view: View,
    ports: (u16, u16),
    router_time: Option<u64>,
}

impl UpOf {
    fn new(header: &PeerHeader, up: &PeerUp<'_>) -> Self {
        Self {
            view: header.view(),
            ports: (up.local_port, up.remote_port),
            router_time: header.router_time(),
        }
    }
}

/// What a BGP session is known by: another of the same peer has another port.
#[derive(Debug, PartialEq, Eq)]
struct Connection {
    local_address: SmallVec<[u8; 16]>,
    ports: (u16, u16),
    opens: [Box<[u8]>; 2],
}

impl Connection {
    /// A Loc-RIB has no ports, and no BGP session that could be another without a Peer Down.
    fn of(header: &PeerHeader, up: &PeerUp<'_>) -> Option<Self> {
        let ports = (up.local_port, up.remote_port);
        let known = header.view() == View::LocRib || (ports.0 != 0 && ports.1 != 0);
        known.then(|| Self {
            local_address: up.local_address().into(),
            ports,
            opens: [up.sent.raw.into(), up.received.raw.into()],
        })
    }
}

/// What the OPENs of a peer say of the encoding of its UPDATEs.
#[derive(Debug)]
struct Opens {
    sent: Vec<(AfiSafi, AddPathMode)>,
    received: Vec<(AfiSafi, AddPathMode)>,
    four_octet_as: bool,
}

impl Opens {
    fn new(up: &PeerUp<'_>) -> Self {
        let add_path =
            |open: &Open<'_>| open.capabilities().flat_map(|c| c.add_path()).collect::<Vec<_>>();
        // An OPEN without capabilities says nothing: that of a Loc-RIB may be empty.
        let silent = |open: &Open<'_>| open.capabilities().next().is_none();
        let four = |open: &Open<'_>| silent(open) || open.four_octet_asn().is_some();
        Self {
            sent: add_path(&up.sent),
            received: add_path(&up.received),
            four_octet_as: silent(&up.received) && silent(&up.sent)
                || four(&up.sent) && up.received.four_octet_asn().is_some(),
        }
    }

    /// Whether NLRI of a view carry path identifiers, as negotiated (RFC 7911, 4
    /// and 5): what the router receives where the peer sends them, what it sends
    /// where the peer receives them. A Loc-RIB's OPENs are made up by the router,
    /// which says by them what it will send (RFC 9069, 4.4).
    fn path_ids(&self, view: View, family: AfiSafi) -> PathIds {
        let mode = |list: &[(AfiSafi, AddPathMode)]| {
            list.iter().find(|(f, _)| *f == family).map_or(AddPathMode(0), |(_, mode)| *mode)
        };
        let (sent, received) = (mode(&self.sent), mode(&self.received));
        let negotiated = match view {
            View::AdjInPre | View::AdjInPost => sent.receives() && received.sends(),
            View::AdjOutPre | View::AdjOutPost => sent.sends() && received.receives(),
            View::LocRib => sent.sends(),
        };
        if negotiated { PathIds::Present } else { PathIds::Absent }
    }
}

impl Peer {
    pub(super) fn new(router: &str, header: PeerHeader) -> Self {
        Self {
            id: header.id(),
            key: record::peer_key(router, &header.distinguisher, header.address()).into_bytes(),
            events: 0,
            header,
            table_name: String::new(),
            field: PeerField::default(),
            up: false,
            announced: false,
            dumps: Dumps::default(),
            opens: None,
            views_up: SmallVec::new(),
            connection: None,
            learned: Vec::new(),
        }
    }

    /// Begins its next event, for a message at `place` that bears this time of the
    /// router's clock. The body is to follow.
    #[inline]
    pub(super) fn begin_event(
        &mut self,
        writer: &mut Writer,
        session: &SessionFields,
        place: Place,
        router_time: Option<u64>,
    ) {
        self.events += 1;
        let about = (router_time, self.field.of(&self.header, &self.table_name));
        envelope::begin(writer, session, place, self.events, Some(about));
    }

    /// A Peer Up.
    pub(super) fn came_up(&mut self, up: &PeerUp<'_>) -> Told {
        let connection = Connection::of(&self.header, up);
        let same = connection.is_some() && connection == self.connection;
        let told = if self.up && self.is_another_view(up, same) {
            Told::ForAnotherTable
        } else if self.up && same {
            Told::Again
        } else {
            Told::Anew
        };
        self.connection = connection;
        self.up = true;
        self.announced = true;
        self.table_name = up
            .information
            .first(type_of::TABLE_NAME)
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .unwrap_or_default();
        self.opens = Some(Opens::new(up));
        if told == Told::Anew {
            self.learned.clear();
        }
        if told != Told::ForAnotherTable {
            self.views_up.clear();
            self.dumps.restart();
        }
        self.views_up.push(UpOf::new(&self.header, up));
        told
    }

    /// Whether a Peer Up tells of the same BGP session as the last, for another of
    /// its tables: routers send one for each. Then the tables' dumps go on. `same` says that
    /// it is that session, though the router may have stamped the Peer Up anew.
    fn is_another_view(&self, up: &PeerUp<'_>, same: bool) -> bool {
        let new = UpOf::new(&self.header, up);
        let alike = |last: &UpOf| same || UpOf { view: new.view, ..*last } == new;
        self.views_up.iter().all(|known| known.view != new.view)
            && self.views_up.last().is_some_and(alike)
    }

    /// A Peer Down.
    pub(super) fn went_down(&mut self) {
        self.up = false;
        self.announced = true;
    }

    /// A Route Monitoring. It holds the peer up, and names its table, where the
    /// router has never said so itself (GoBGP sends no Peer Up for its Loc-RIB).
    pub(super) fn has_routes(&mut self, monitoring: &RouteMonitoring<'_>) {
        if self.announced {
            return;
        }
        self.up = true;
        if let Some(name) = monitoring.table_name() {
            self.table_name = String::from_utf8_lossy(name).into_owned();
        }
    }

    /// The width of AS numbers by the OPENs and the A flag.
    pub(super) fn as_width(&self, header: &PeerHeader) -> AsWidth {
        let four = self.opens.as_ref().is_none_or(|opens| opens.four_octet_as);
        if header.claims_two_octet_as_path() || !four { AsWidth::Two } else { AsWidth::Four }
    }

    /// Whether NLRI carry path identifiers by the OPENs.
    pub(super) fn path_ids_negotiated(&self, view: View, family: AfiSafi) -> PathIds {
        self.opens.as_ref().map_or(PathIds::Absent, |opens| opens.path_ids(view, family))
    }
}

/// How to read the UPDATEs of one message.
pub(super) struct Reading<'p> {
    pub(super) peer: &'p mut Peer,
    pub(super) view: View,
    pub(super) monitoring: &'p RouteMonitoring<'p>,
}

impl ReadAs for Reading<'_> {
    fn as_width(&self) -> AsWidth {
        if self.monitoring.has_four_octet_as() {
            AsWidth::Four
        } else {
            self.peer.as_width(&self.peer.header)
        }
    }

    fn path_ids(&self, family: AfiSafi) -> PathIds {
        if let Some(stateless) = self.monitoring.path_ids(self.view, family) {
            return stateless;
        }
        let learned = self.peer.learned.iter().find(|(v, f, _)| *v == self.view && *f == family);
        learned.map_or_else(
            || self.peer.path_ids_negotiated(self.view, family),
            |(_, _, path_ids)| *path_ids,
        )
    }

    fn learn_path_ids(&mut self, family: AfiSafi, path_ids: PathIds) {
        let view = self.view;
        match self.peer.learned.iter_mut().find(|(v, f, _)| *v == view && *f == family) {
            Some((_, _, learned)) => *learned = path_ids,
            None => self.peer.learned.push((view, family, path_ids)),
        }
    }
}
