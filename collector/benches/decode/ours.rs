//! Ours.

use std::{
    hint::black_box,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use ribstream_collector::{
    bgp::{self, AsPath, AsWidth, Nlris, PathIds, ReadAs, Update},
    bmp::Message,
    session::{Origin, Record, Session},
    wire::Reader,
};
use ribstream_proto::family::AfiSafi;

use crate::Tally;

/// Four octets an AS, no path identifiers: what the captures here have.
struct Plain;

impl ReadAs for Plain {
    fn as_width(&self) -> AsWidth {
        AsWidth::Four
    }
    fn path_ids(&self, _: AfiSafi) -> PathIds {
        PathIds::Absent
    }
    fn learn_path_ids(&mut self, _: AfiSafi, _: PathIds) {}
}

#[inline]
fn updates<'f>(frame: &'f [u8], mut each: impl FnMut(&Update<'f>)) {
    let message = Message::parse(frame);
    if let Ok(Message::RouteMonitoring(header, monitoring)) = message {
        black_box(header);
        let mut reader = Reader::new(monitoring.updates);
        while reader.any_left() {
            let Ok(message) = bgp::Message::read(&mut reader) else { break };
            if let Ok(update) = Update::parse(message, &mut Plain) {
                each(&update);
            }
        }
    } else {
        let _ = black_box(message);
    }
}

pub(crate) fn parse(frame: &&[u8]) {
    updates(frame, |update| {
        black_box(update);
    });
}

pub(crate) fn walk(frame: &&[u8], tally: &mut Tally) {
    updates(frame, |update| {
        for segment in update.attributes.as_path.iter().flat_map(AsPath::segments) {
            segment.asns().for_each(|asn| tally.asn(asn));
        }
        for field in update.announced.iter().chain(&update.withdrawn) {
            if let Nlris::Prefixes(prefixes) = field.nlris() {
                prefixes.for_each(|prefix| tally.prefix(prefix.length));
            }
        }
        black_box(update);
    });
}

/// All frames as one session; the octets of the records.
pub(crate) fn protobuf(frames: &[&[u8]]) -> usize {
    let mut session = Session::new(Origin {
        collector: Arc::from("bench"),
        router_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        remote_port: 1,
        session: 1_700_000_000_000_000,
    });
    let mut octets = 0;
    for frame in frames {
        session.message(frame, 1_700_000_000_000_000, &mut |record: Record<'_>| {
            octets += black_box(record.value).len();
        });
    }
    octets
}
