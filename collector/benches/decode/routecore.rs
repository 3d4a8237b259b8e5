//! routecore, which borrows: `parsed` checks the UPDATE and reads each attribute
//! and each route once.

use std::hint::black_box;

use routecore::{
    bgp::{
        aspath::AsPath,
        message::{UpdateMessage, update::SessionConfig},
        nlri::afisafi::{IsPrefix, Nlri},
        path_attributes::WireformatPathAttribute,
    },
    bmp::message::Message,
};

use crate::Tally;

fn update<'f>(message: &'f Message<&[u8]>) -> Option<UpdateMessage<&'f [u8]>> {
    match message {
        Message::RouteMonitoring(monitoring) => {
            black_box(monitoring.per_peer_header());
            monitoring.bgp_update(&SessionConfig::modern()).ok()
        }
        _ => None,
    }
}

pub(crate) fn parse(frame: &&[u8]) {
    let Ok(message) = Message::from_octets(*frame) else { return };
    let Some(update) = update(&message) else { return };
    for attribute in update.path_attributes().into_iter().flatten() {
        let _ = black_box(attribute);
    }
    for route in update.announcements().into_iter().flatten() {
        let _ = black_box(route);
    }
    for route in update.withdrawals().into_iter().flatten() {
        let _ = black_box(route);
    }
}

pub(crate) fn walk(frame: &&[u8], tally: &mut Tally) {
    let Ok(message) = Message::from_octets(*frame) else { return };
    let Some(update) = update(&message) else { return };
    for attribute in update.path_attributes().into_iter().flatten().flatten() {
        if let WireformatPathAttribute::AsPath(path) = &attribute {
            let mut value = path.value_into_parser();
            let four = path.pdu_parse_info().four_octet_enabled();
            let octets = value.parse_octets(value.remaining());
            let path = octets.ok().and_then(|octets| AsPath::new(octets, four).ok());
            for segment in path.iter().flat_map(AsPath::segments) {
                segment.asns().for_each(|asn| tally.asn(asn.into_u32()));
            }
        }
        black_box(attribute);
    }
    for route in update.announcements().into_iter().flatten().flatten() {
        tally.prefix(length(&route));
    }
    for route in update.withdrawals().into_iter().flatten().flatten() {
        tally.prefix(length(&route));
    }
}

fn length(route: &Nlri<&[u8]>) -> u8 {
    match route {
        Nlri::Ipv4Unicast(route) => route.prefix().len(),
        Nlri::Ipv6Unicast(route) => route.prefix().len(),
        _ => 0,
    }
}

/// The least that it does: the UPDATE checked, nothing read.
pub(crate) fn check(frame: &&[u8]) {
    let Ok(message) = Message::from_octets(*frame) else { return };
    black_box(update(&message));
}
