//! One BMP session: what a router has told so far, and the records it becomes.
//!
//! Pure: no clock, no network. What it keeps lives and dies with the session.

mod counters;
mod dump;
mod identity;
mod mirror;
mod peer;
mod peers;
mod updates;

use std::{net::IpAddr, sync::Arc, time::Duration};

use prost::Message as _;
use ribstream_proto::{record, v1};
use smallvec::SmallVec;

pub use counters::Counters;
pub use identity::Identity;
use peers::Peers;
use updates::Updates;

use crate::{
    bmp::{Kind, Message, PeerHeader, RouteMonitoring, Tlvs, type_of},
    event::{
        Writer, convert,
        convert::body,
        envelope::{self, Place, SessionFields},
        route_mirror, route_update,
    },
};

/// Where a session comes from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The collector's name.
    pub collector: Arc<str>,
    /// The router's address, IPv4 as IPv4.
    pub router_address: IpAddr,
    /// The router's TCP port.
    pub remote_port: u16,
    /// When the connection was accepted, microseconds since the epoch; unique
    /// for the router.
    pub session: u64,
}

/// Which topic a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The events topic; the value is a `ribstream.v1.Event`.
    Events,
    /// The dead-letter topic; the value is a `ribstream.v1.DeadLetter`.
    DeadLetter,
    /// The raw topic; the value is a BMP message in OpenBMP's framing, which has no place
    /// for these.
    Raw {
        /// The session.
        session: u64,
        /// Which message of the session it is.
        sequence: u64,
    },
}

/// A Kafka record to be.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Which topic.
    pub destination: Destination,
    /// The record's key.
    pub key: &'a [u8],
    /// The name of the event's body; `dead_letter` or `raw` for what is no event.
    pub event_type: &'static str,
    /// The router's identity.
    pub router: &'a str,
    /// What [`Record::destination`] says.
    pub value: &'a [u8],
}

/// Takes the records of a session, in order.
pub trait Sink {
    /// Takes one record; its bytes are used again after the call.
    fn record(&mut self, record: Record<'_>);
}

impl<F: FnMut(Record<'_>)> Sink for F {
    fn record(&mut self, record: Record<'_>) {
        self(record);
    }
}

/// A BMP session.
#[derive(Debug)]
pub struct Session {
    origin: Origin,
    identity: Identity,
    router: String,
    sys_name: Option<String>,
    fields: SessionFields,
    sequence: u64,
    /// How many events without a peer there have been.
    router_events: u64,
    router_is_up: bool,
    ended: bool,
    peers: Peers,
    dump_clock: dump::Clock,
    counters: Counters,
    writer: Writer,
}

impl Session {
    /// A session that has received nothing yet, of a router that is told from others by
    /// its address.
    #[must_use]
    pub fn new(origin: Origin) -> Self {
        Self::identified_by(Identity::Address, origin)
    }

    /// A session that has received nothing yet.
    #[must_use]
    pub fn identified_by(identity: Identity, origin: Origin) -> Self {
        let router = origin.router_address.to_string();
        Self {
            fields: fields(&origin, &router),
            origin,
            identity,
            router,
            sys_name: None,
            sequence: 0,
            router_events: 0,
            router_is_up: false,
            ended: false,
            peers: Peers::default(),
            dump_clock: dump::Clock::default(),
            counters: Counters::default(),
            writer: Writer::default(),
        }
    }

    /// The router's identity. It is fixed with the first message.
    #[must_use]
    pub fn router(&self) -> &str {
        &self.router
    }

    /// What the router calls itself in the Initiation with which it began.
    #[must_use]
    pub fn sys_name(&self) -> Option<&str> {
        self.sys_name.as_deref()
    }

    /// The address that the router comes from.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.origin.router_address
    }

    /// Where the latest message goes as received.
    #[must_use]
    pub const fn raw(&self) -> Destination {
        Destination::Raw { session: self.origin.session, sequence: self.sequence }
    }

    /// What has been received.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How many peers this session holds up.
    #[must_use]
    pub fn peers_up(&self) -> usize {
        self.peers.up()
    }

    /// The router has sent a Termination: the connection is to be closed.
    #[must_use]
    pub const fn terminated(&self) -> bool {
        self.ended
    }

    /// Decodes one BMP message, a whole frame, received at `now` (microseconds
    /// since the epoch), and hands what it becomes to `sink`.
    pub fn message(&mut self, frame: &[u8], now: u64, sink: &mut impl Sink) {
        self.sequence += 1;
        let kind = Kind::of(frame);
        self.counters.message(kind, frame.len());
        let place = Place { sequence: self.sequence, received_at: now };
        if !self.router_is_up && kind != Kind::Initiation {
            self.router_up(None, place, sink);
        }
        let message = Message::parse(frame);
        if !self.router_is_up
            && let Ok(Message::Initiation(tlvs)) = &message
        {
            self.identify(tlvs);
        }
        if let Some(error) = message.as_ref().ok().and_then(Message::broken) {
            // Before the event: a Termination's is the session's last.
            let detail = format!("{}: {error}", kind.name());
            self.dead_letter("malformed-tlv", &detail, frame, place, sink);
        }
        match message {
            Ok(Message::RouteMonitoring(header, monitoring)) => {
                self.route_monitoring(header, &monitoring, frame, place, sink);
            }
            Ok(Message::PeerUp(header, up)) => {
                let told = self.peers.get(&self.router, header).came_up(&up);
                let up = convert::peer_up(&up, told);
                self.peer_event(header, place, body::PEER_UP, &up, sink);
            }
            Ok(Message::PeerDown(header, down)) => {
                self.peers.get(&self.router, header).went_down();
                self.peer_event(header, place, body::PEER_DOWN, &convert::peer_down(&down), sink);
            }
            Ok(Message::StatsReport(header, stats)) => {
                let stats = convert::stats_report(&stats);
                self.peer_event(header, place, body::STATS_REPORT, &stats, sink);
            }
            Ok(Message::RouteMirroring(header, tlvs)) => {
                self.route_mirroring(header, &tlvs, place, sink);
            }
            Ok(Message::Initiation(tlvs)) => self.router_up(Some(&tlvs), place, sink),
            Ok(Message::Termination(tlvs)) => {
                self.end_with(v1::RouterDownReason::Termination, Some(&tlvs), "", place, sink);
            }
            Ok(Message::Unknown(kind)) => {
                self.dead_letter(
                    "unknown-type",
                    &format!("BMP message type {kind}"),
                    frame,
                    place,
                    sink,
                );
            }
            Err(error) => {
                let detail = format!("{}: {error}", kind.name());
                self.dead_letter("malformed-message", &detail, frame, place, sink);
            }
        }
    }

    /// The router was not read for so long, for want of room: no silence of its own.
    pub fn held_back(&mut self, wait: Duration) {
        self.dump_clock.held_back(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX));
    }

    /// Says that this collector still holds this session and, before, which dumps
    /// are over by the time that has passed.
    pub fn heartbeat(&mut self, now: u64, sink: &mut impl Sink) {
        let place = Place { sequence: self.sequence, received_at: now };
        let time = self.dump_clock.at(now);
        for peer in self.peers.iter_mut().filter(|peer| peer.up) {
            for (view, families) in peer.dumps.end_quiet(time) {
                peer.begin_event(&mut self.writer, &self.fields, place, None);
                self.writer.prost(route_update::BODY, &convert::dump_over(view, &families));
                sink.record(Record {
                    destination: Destination::Events,
                    key: &peer.key,
                    event_type: event_type(route_update::BODY),
                    router: &self.router,
                    value: self.writer.as_slice(),
                });
            }
        }
        let heartbeat = v1::Heartbeat {
            messages: self.counters.total(),
            octets: self.counters.octets,
            peers: u32::try_from(self.peers_up()).unwrap_or(u32::MAX),
        };
        self.router_event(place, body::HEARTBEAT, &heartbeat, sink);
    }

    /// Ends the session: every peer that it holds up is lost, and so is the
    /// router. A session that has ended already, or never began, ends silently.
    pub fn end(
        &mut self,
        reason: v1::RouterDownReason,
        detail: &str,
        now: u64,
        sink: &mut impl Sink,
    ) {
        let place = Place { sequence: self.sequence, received_at: now };
        if self.router_is_up {
            self.end_with(reason, None, detail, place, sink);
        }
    }

    fn end_with(
        &mut self,
        reason: v1::RouterDownReason,
        tlvs: Option<&Tlvs<'_>>,
        detail: &str,
        place: Place,
        sink: &mut impl Sink,
    ) {
        if self.ended {
            return;
        }
        self.ended = true;
        let lost = v1::PeerDown {
            reason: v1::PeerDownReason::SessionLost.into(),
            ..v1::PeerDown::default()
        };
        for peer in self.peers.iter_mut().filter(|peer| peer.up) {
            peer.up = false;
            // The router's clock says nothing about an end that it did not report.
            peer.begin_event(&mut self.writer, &self.fields, place, None);
            self.writer.prost(body::PEER_DOWN, &lost);
            sink.record(Record {
                destination: Destination::Events,
                key: &peer.key,
                event_type: event_type(body::PEER_DOWN),
                router: &self.router,
                value: self.writer.as_slice(),
            });
        }
        let down = convert::router_down(reason, tlvs, detail);
        self.router_event(place, body::ROUTER_DOWN, &down, sink);
    }

    /// Fixes the router's identity, before anything carries it.
    fn identify(&mut self, tlvs: &Tlvs<'_>) {
        self.sys_name = convert::text(tlvs, type_of::SYS_NAME);
        self.router = self.identity.of(self.origin.router_address, self.sys_name.as_deref());
        self.fields = fields(&self.origin, &self.router);
    }

    fn router_up(&mut self, tlvs: Option<&Tlvs<'_>>, place: Place, sink: &mut impl Sink) {
        self.router_is_up = true;
        let up = convert::router_up(tlvs, self.origin.remote_port);
        self.router_event(place, body::ROUTER_UP, &up, sink);
    }

    fn router_event(
        &mut self,
        place: Place,
        field: u32,
        message: &impl prost::Message,
        sink: &mut impl Sink,
    ) {
        self.router_events += 1;
        envelope::begin(&mut self.writer, &self.fields, place, self.router_events, None);
        self.writer.prost(field, message);
        sink.record(Record {
            destination: Destination::Events,
            key: self.router.as_bytes(),
            event_type: event_type(field),
            router: &self.router,
            value: self.writer.as_slice(),
        });
    }

    fn peer_event(
        &mut self,
        header: PeerHeader,
        place: Place,
        field: u32,
        message: &impl prost::Message,
        sink: &mut impl Sink,
    ) {
        let peer = self.peers.get(&self.router, header);
        peer.begin_event(&mut self.writer, &self.fields, place, header.router_time());
        self.writer.prost(field, message);
        sink.record(Record {
            destination: Destination::Events,
            key: &peer.key,
            event_type: event_type(field),
            router: &self.router,
            value: self.writer.as_slice(),
        });
    }

    fn route_mirroring(
        &mut self,
        header: PeerHeader,
        tlvs: &Tlvs<'_>,
        place: Place,
        sink: &mut impl Sink,
    ) {
        let peer = self.peers.get(&self.router, header);
        let mirrored = mirror::read(peer, &header, tlvs);
        peer.begin_event(&mut self.writer, &self.fields, place, header.router_time());
        route_mirror::write(&mut self.writer, &mirrored);
        sink.record(Record {
            destination: Destination::Events,
            key: &peer.key,
            event_type: event_type(body::ROUTE_MIRROR),
            router: &self.router,
            value: self.writer.as_slice(),
        });
    }

    fn route_monitoring(
        &mut self,
        header: PeerHeader,
        monitoring: &RouteMonitoring<'_>,
        frame: &[u8],
        place: Place,
        sink: &mut impl Sink,
    ) {
        let peer = self.peers.get(&self.router, header);
        peer.has_routes(monitoring);
        let mut updates = Updates::new();
        let time = self.dump_clock.at(place.received_at);
        let broken = updates::read(peer, &header, monitoring, time, &mut updates);
        if !updates.is_empty() {
            peer.begin_event(&mut self.writer, &self.fields, place, header.router_time());
            route_update::write(&mut self.writer, &updates, &monitoring.tlvs);
            sink.record(Record {
                destination: Destination::Events,
                key: &peer.key,
                event_type: event_type(route_update::BODY),
                router: &self.router,
                value: self.writer.as_slice(),
            });
        }
        for (_, update) in &updates {
            if !update.attributes.errors.is_empty() {
                let withdraw = update.attributes.treat_as_withdraw();
                self.counters.treated_as_withdraw += u64::from(withdraw);
                self.counters.attributes_discarded +=
                    u64::from(!withdraw) * update.attributes.errors.len() as u64;
            }
        }
        if let Err(error) = broken {
            self.dead_letter("malformed-update", &error.to_string(), frame, place, sink);
        }
    }

    fn dead_letter(
        &mut self,
        reason: &'static str,
        detail: &str,
        frame: &[u8],
        place: Place,
        sink: &mut impl Sink,
    ) {
        self.counters.error(reason);
        let letter = v1::DeadLetter {
            stage: "collector".to_owned(),
            reason: reason.to_owned(),
            detail: detail.to_owned(),
            time: place.received_at,
            collector: self.origin.collector.to_string(),
            router: self.router.clone(),
            router_address: octets(self.origin.router_address).to_vec().into(),
            session: self.origin.session,
            sequence: place.sequence,
            message: frame.to_vec().into(),
            ..v1::DeadLetter::default()
        };
        sink.record(Record {
            destination: Destination::DeadLetter,
            key: self.router.as_bytes(),
            event_type: "dead_letter",
            router: &self.router,
            value: &letter.encode_to_vec(),
        });
    }
}

/// The name of the body that has field number `field` in `ribstream.v1.Event`.
const fn event_type(field: u32) -> &'static str {
    match field {
        route_update::BODY => record::event::ROUTE_UPDATE,
        body::PEER_UP => record::event::PEER_UP,
        body::PEER_DOWN => record::event::PEER_DOWN,
        body::STATS_REPORT => record::event::STATS_REPORT,
        body::ROUTE_MIRROR => record::event::ROUTE_MIRROR,
        body::ROUTER_UP => record::event::ROUTER_UP,
        body::ROUTER_DOWN => record::event::ROUTER_DOWN,
        _ => record::event::HEARTBEAT,
    }
}

fn fields(origin: &Origin, router: &str) -> SessionFields {
    let address = octets(origin.router_address);
    SessionFields::new(&origin.collector, router, &address, origin.session)
}

fn octets(address: IpAddr) -> SmallVec<[u8; 16]> {
    match address {
        IpAddr::V4(v4) => SmallVec::from_slice(&v4.octets()),
        IpAddr::V6(v6) => SmallVec::from_slice(&v6.octets()),
    }
}
