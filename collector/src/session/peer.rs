//! What a session knows of one peer.

use ribstream_proto::{family::AfiSafi, record};

use super::dump::Dumps;
use crate::{
    bgp::{AddPathMode, AsWidth, Open, PathIds, ReadAs},
    bmp::{PeerHeader, PeerId, PeerUp, View, type_of},
};

/// A peer, from the first message that names it to the end of the session.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: PeerId,
    /// The key of its records.
    pub(super) key: Vec<u8>,
    /// The last Per-Peer Header.
    pub(super) header: PeerHeader,
    /// The VRF/Table Name of its Peer Up.
    pub(super) table_name: String,
    /// Held up by this session.
    pub(super) up: bool,
    /// A Peer Up or Peer Down has been received.
    announced: bool,
    pub(super) dumps: Dumps,
    opens: Option<Opens>,
    learned: Vec<(View, AfiSafi, PathIds)>,
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
            header,
            table_name: String::new(),
            up: false,
            announced: false,
            dumps: Dumps::default(),
            opens: None,
            learned: Vec::new(),
        }
    }

    /// A Peer Up.
    pub(super) fn came_up(&mut self, up: &PeerUp<'_>) {
        self.up = true;
        self.announced = true;
        self.table_name = up
            .information
            .first(type_of::TABLE_NAME)
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .unwrap_or_default();
        self.opens = Some(Opens::new(up));
        self.learned.clear();
        self.dumps.restart();
    }

    /// A Peer Down.
    pub(super) fn went_down(&mut self) {
        self.up = false;
        self.announced = true;
    }

    /// A Route Monitoring. It holds the peer up where the router has never said
    /// so itself (GoBGP sends no Peer Up for its Loc-RIB).
    pub(super) fn has_routes(&mut self) {
        if !self.announced {
            self.up = true;
        }
    }

    /// Whether a message's OPENs and its NLRI disagree on path identifiers.
    pub(super) fn path_ids_negotiated(&self, view: View, family: AfiSafi) -> PathIds {
        self.opens.as_ref().map_or(PathIds::Absent, |opens| opens.path_ids(view, family))
    }
}

/// How to read the UPDATEs of one message.
pub(super) struct Reading<'p> {
    pub(super) peer: &'p mut Peer,
    pub(super) view: View,
}

impl ReadAs for Reading<'_> {
    fn as_width(&self) -> AsWidth {
        let four = self.peer.opens.as_ref().is_none_or(|opens| opens.four_octet_as);
        if self.peer.header.claims_two_octet_as_path() || !four {
            AsWidth::Two
        } else {
            AsWidth::Four
        }
    }

    fn path_ids(&self, family: AfiSafi) -> PathIds {
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
