//! NetGauze's decoding of a BMP message, in our words: the event that says the same.
//!
//! It is read strictly: a name that does not occur in the public captures is not known
//! here, nor may an object have a field more than is read.

mod nlri;
mod open;
mod update;

use std::{fmt::Debug, net::IpAddr};

use prost::bytes::Bytes;
use ribstream_proto::v1::{
    Event, Family, InformationTlv, Notification, Peer, PeerDown, PeerDownReason, PeerType, PeerUp,
    Prefix, RibView, RouteUpdate, RouterUp, Statistic, StatsReport, event::Body,
};
use serde_json::Value;

use open::open;
use update::{route_tlv, route_update};

/// Everything but what the collector knows or concludes: names by the registries, times of
/// its own, dumps.
pub(crate) fn event(message: &Value) -> Event {
    let (version, message) = variant(message);
    let (kind, message) = variant(message);
    match (version, kind) {
        ("V3", "Initiation") => router_up(message),
        ("V3" | "V4", "PeerUpNotification") => peer_up(message),
        ("V3", "PeerDownNotification") => {
            let [header, reason] = fields(message, ["peer_header", "reason"]);
            of_peer(header, Body::PeerDown(peer_down(reason)))
        }
        ("V4", "PeerDownNotification") => {
            let [header, reason, tlvs] = fields(message, ["peer_header", "reason", "tlvs"]);
            assert!(list(tlvs).is_empty());
            of_peer(header, Body::PeerDown(peer_down(reason)))
        }
        ("V3", "StatisticsReport") => {
            let [header, counters] = fields(message, ["peer_header", "counters"]);
            let statistics = list(counters).iter().map(statistic).collect();
            of_peer(header, Body::StatsReport(StatsReport { statistics }))
        }
        ("V3", "RouteMonitoring") => {
            let [header, update] = fields(message, ["peer_header", "update_message"]);
            of_peer(header, Body::RouteUpdate(route_update(update)))
        }
        ("V4", "RouteMonitoring") => {
            let [header, pdu, tlvs] = fields(message, ["peer_header", "update_pdu", "tlvs"]);
            let [index, value] = fields(pdu, ["index", "value"]);
            assert_eq!(index, 0);
            let [update] = fields(value, ["BgpUpdate"]);
            let tlvs = list(tlvs).iter().map(route_tlv).collect();
            of_peer(header, Body::RouteUpdate(RouteUpdate { tlvs, ..route_update(update) }))
        }
        other => panic!("{other:?}"),
    }
}

/// The name of an alternative, and what it holds.
fn variant(value: &Value) -> (&str, &Value) {
    match value {
        Value::String(name) => (name, &Value::Null),
        Value::Object(object) if object.len() == 1 => {
            let (name, content) = object.iter().next().unwrap();
            (name, content)
        }
        other => panic!("{other} is not one of several"),
    }
}

/// The fields of an object that has these and no others.
fn fields<'a, const N: usize>(object: &'a Value, names: [&str; N]) -> [&'a Value; N] {
    assert_eq!(object.as_object().map(serde_json::Map::len), Some(N), "{object} has not {names:?}");
    names.map(|name| object.get(name).unwrap_or_else(|| panic!("no {name} in {object}")))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

fn number<T: TryFrom<u64, Error: Debug>>(value: &Value) -> T {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number")).try_into().unwrap()
}

fn bit<T: From<u8>>(value: &Value, bit: u8) -> T {
    T::from(if value.as_bool().unwrap() { bit } else { 0 })
}

fn octets(value: &Value) -> Vec<u8> {
    list(value).iter().map(number).collect()
}

/// Empty where theirs is null.
fn address(value: &Value) -> Bytes {
    if value.is_null() {
        return Bytes::new();
    }
    match text(value).parse().unwrap() {
        IpAddr::V4(v4) => v4.octets().to_vec().into(),
        IpAddr::V6(v6) => v6.octets().to_vec().into(),
    }
}

fn prefix(value: &Value) -> Prefix {
    let (network, length) = text(value).split_once('/').unwrap();
    Prefix { address: address(&Value::from(network)), length: length.parse().unwrap() }
}

fn path_id(value: &Value) -> Option<u32> {
    (!value.is_null()).then(|| number(value))
}

/// RFC 4364, 4.2.
fn distinguisher(value: &Value) -> Bytes {
    if value.is_null() {
        return Bytes::new();
    }
    let (kind, parts) = variant(value);
    let octets = match kind {
        "As2Administrator" => {
            let [asn, assigned] = fields(parts, ["asn2", "number"]);
            let asn = number::<u16>(asn).to_be_bytes();
            [&[0, 0], &asn[..], &number::<u32>(assigned).to_be_bytes()].concat()
        }
        "Ipv4Administrator" => {
            let [ip, assigned] = fields(parts, ["ip", "number"]);
            [&[0, 1], &address(ip)[..], &number::<u16>(assigned).to_be_bytes()].concat()
        }
        "As4Administrator" => {
            let [asn, assigned] = fields(parts, ["asn4", "number"]);
            let asn = number::<u32>(asn).to_be_bytes();
            [&[0, 2], &asn[..], &number::<u16>(assigned).to_be_bytes()].concat()
        }
        other => panic!("{other}"),
    };
    octets.into()
}

/// By its names in their capabilities and statistics, and of their MP attributes.
fn family(name: &str) -> Family {
    let (afi, safi) = match name {
        "Ipv4Unicast" => (1, 1),
        "Ipv4Multicast" => (1, 2),
        "Ipv4NlriMplsLabels" => (1, 4),
        "Ipv4MplsLabeledVpn" | "Ipv4MplsVpnUnicast" => (1, 128),
        "Ipv6Unicast" => (2, 1),
        "Ipv6NlriMplsLabels" => (2, 4),
        "Ipv6MplsLabeledVpn" | "Ipv6MplsVpnUnicast" => (2, 128),
        "L2VpnBgpEvpn" | "L2Evpn" => (25, 70),
        "BgpLs" => (16388, 71),
        other => panic!("{other}"),
    };
    Family { afi, safi }
}

fn of_peer(header: &Value, body: Body) -> Event {
    let [kind, rd, ip, asn, id, time] =
        fields(header, ["peer_type", "rd", "address", "peer_as", "bgp_id", "timestamp"]);
    let (kind, flags) = variant(kind);
    let (kind, flags) = match kind {
        "LocRibInstancePeer" => {
            let [filtered] = fields(flags, ["filtered"]);
            (PeerType::LocRib, bit(filtered, 0x80))
        }
        "GlobalInstancePeer" => (PeerType::GlobalInstance, peer_flags(flags)),
        "RdInstancePeer" => (PeerType::RdInstance, peer_flags(flags)),
        other => panic!("{other}"),
    };
    let time = (!time.is_null()).then(|| text(time).parse::<jiff::Timestamp>().unwrap());
    Event {
        router_time: time.map(|time| u64::try_from(time.as_microsecond()).unwrap()),
        peer: Some(Peer {
            r#type: kind.into(),
            distinguisher: distinguisher(rd),
            address: address(ip),
            asn: number(asn),
            bgp_id: address(id),
            flags,
            table_name: String::new(),
        }),
        body: Some(with_view(kind, flags, body)),
        ..Event::default()
    }
}

/// RFC 7854, 4.2; RFC 8671, 5.
fn peer_flags(flags: &Value) -> u32 {
    let [ipv6, post_policy, asn2, out] =
        fields(flags, ["ipv6", "post_policy", "asn2", "adj_rib_out"]);
    bit::<u32>(ipv6, 0x80)
        | bit::<u32>(post_policy, 0x40)
        | bit::<u32>(asn2, 0x20)
        | bit::<u32>(out, 0x10)
}

fn with_view(kind: PeerType, flags: u32, body: Body) -> Body {
    let Body::RouteUpdate(update) = body else { return body };
    let view = match (kind, flags & 0x50) {
        (PeerType::LocRib, _) => RibView::LocRib,
        (_, 0x00) => RibView::AdjRibInPre,
        (_, 0x40) => RibView::AdjRibInPost,
        (_, 0x10) => RibView::AdjRibOutPre,
        _ => RibView::AdjRibOutPost,
    };
    let filtered = kind == PeerType::LocRib && flags & 0x80 != 0;
    Body::RouteUpdate(RouteUpdate { view: view.into(), filtered, ..update })
}

fn information_tlv(kind: u32, value: &Value) -> InformationTlv {
    InformationTlv { r#type: kind, value: text(value).to_owned().into(), name: String::new() }
}

fn router_up(message: &Value) -> Event {
    let [information] = fields(message, ["information"]);
    let mut up = RouterUp::default();
    for tlv in list(information) {
        let (kind, value) = variant(tlv);
        up.information.push(match kind {
            "SystemDescription" => {
                up.sys_descr = Some(text(value).to_owned());
                information_tlv(1, value)
            }
            "SystemName" => {
                up.sys_name = Some(text(value).to_owned());
                information_tlv(2, value)
            }
            other => panic!("{other}"),
        });
    }
    Event { body: Some(Body::RouterUp(up)), ..Event::default() }
}

fn peer_up(message: &Value) -> Event {
    let [header, local_address, local_port, remote_port, sent, received, information] = fields(
        message,
        [
            "peer_header",
            "local_address",
            "local_port",
            "remote_port",
            "sent_message",
            "received_message",
            "information",
        ],
    );
    let port = |value: &Value| if value.is_null() { 0 } else { number(value) };
    let information = list(information).iter().map(|tlv| match variant(tlv) {
        ("String", value) => information_tlv(0, value),
        ("VrfTableName", value) => information_tlv(3, value),
        other => panic!("{other:?}"),
    });
    let up = PeerUp {
        local_address: address(local_address),
        local_port: port(local_port),
        remote_port: port(remote_port),
        sent_open: Some(open(sent)),
        received_open: Some(open(received)),
        information: information.collect(),
        ..PeerUp::default()
    };
    of_peer(header, Body::PeerUp(up))
}

fn peer_down(reason: &Value) -> PeerDown {
    let (reason, content) = variant(reason);
    let mut down = PeerDown::default();
    let reason = match reason {
        "LocalSystemClosedNotificationPduFollows" => {
            down.notification = Some(notification(content));
            PeerDownReason::LocalNotification
        }
        "RemoteSystemClosedNotificationPduFollows" => {
            down.notification = Some(notification(content));
            PeerDownReason::RemoteNotification
        }
        "LocalSystemClosedTlvDataFollows" => {
            let [table] = fields(content, ["VrfTableName"]);
            down.information = vec![information_tlv(3, table)];
            PeerDownReason::LocRibDown
        }
        other => panic!("{other}"),
    };
    PeerDown { reason: reason.into(), ..down }
}

fn notification(message: &Value) -> Notification {
    let [notification] = fields(message, ["Notification"]);
    let [cease] = fields(notification, ["CeaseError"]);
    let [reset] = fields(cease, ["AdministrativeReset"]);
    let [data] = fields(reset, ["value"]);
    Notification { code: 6, subcode: 4, data: octets(data).into(), ..Notification::default() }
}

fn statistic(counter: &Value) -> Statistic {
    let (name, value) = variant(counter);
    let (kind, family, value) = match name {
        "NumberOfDuplicatePrefixAdvertisements" => (1, None, value),
        "NumberOfDuplicateWithdraws" => (2, None, value),
        "NumberOfUpdatesInvalidatedDueToAsPathLoop" => (4, None, value),
        "NumberOfRoutesInAdjRibIn" => (7, None, value),
        "NumberOfRoutesInLocRib" => (8, None, value),
        "NumberOfRoutesInPerAfiSafiLocRib" => (10, Some(family(text(&value[0]))), &value[1]),
        other => panic!("{other}"),
    };
    Statistic { r#type: kind, value: Some(number(value)), family, ..Statistic::default() }
}
