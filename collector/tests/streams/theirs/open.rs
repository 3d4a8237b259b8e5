//! OPEN messages and their capabilities.

use ribstream_proto::v1::{AddPath, Capability, Family, Open};
use serde_json::Value;

use super::{address, bit, fields, list, number, octets, text, variant};
use crate::support::bgp;

/// With the octets that it was read from.
pub(super) fn open(message: &Value) -> Open {
    let [open] = fields(message, ["Open"]);
    let [version, my_as, hold_time, id, params] =
        fields(open, ["version", "my_as", "hold_time", "bgp_id", "params"]);
    let mut capabilities = Vec::new();
    let mut parameters = Vec::new();
    for parameter in list(params) {
        let [carried] = fields(parameter, ["Capabilities"]);
        let carried: Vec<Capability> = list(carried).iter().map(capability).collect();
        let octets: Vec<u8> = carried.iter().flat_map(capability_octets).collect();
        parameters.extend([2, u8::try_from(octets.len()).unwrap()]);
        parameters.extend(octets);
        capabilities.extend(carried);
    }
    let mut body = vec![number(version)];
    body.extend(number::<u16>(my_as).to_be_bytes());
    body.extend(number::<u16>(hold_time).to_be_bytes());
    body.extend(address(id));
    body.push(u8::try_from(parameters.len()).unwrap());
    body.extend(parameters);
    let four_octet_asn = capabilities.iter().find_map(|capability| capability.four_octet_asn);
    Open {
        version: number(version),
        asn: four_octet_asn.unwrap_or_else(|| number(my_as)),
        hold_time: number(hold_time),
        bgp_id: address(id),
        capabilities,
        raw: bgp(1, &body).into(),
    }
}

pub(super) fn capability_octets(capability: &Capability) -> Vec<u8> {
    let length = u8::try_from(capability.value.len()).unwrap();
    [&[u8::try_from(capability.code).unwrap(), length], &capability.value[..]].concat()
}

pub(super) fn capability(value: &Value) -> Capability {
    let (kind, value) = variant(value);
    let of =
        |code, value: Vec<u8>| Capability { code, value: value.into(), ..Capability::default() };
    match kind {
        "MultiProtocolExtensions" => {
            let [family] = fields(value, ["address_type"]);
            let family = super::family(text(family));
            let [afi, safi] = family_octets(family);
            Capability {
                multiprotocol: Some(family),
                ..of(1, [&afi[..], &[0], &safi[1..]].concat())
            }
        }
        "RouteRefresh" => of(2, Vec::new()),
        "ExtendedNextHopEncoding" => {
            let [encodings] = fields(value, ["encodings"]);
            of(5, list(encodings).iter().flat_map(next_hop_encoding).collect())
        }
        "ExtendedMessage" => of(6, Vec::new()),
        "GracefulRestartCapability" => of(64, graceful_restart(value)),
        "FourOctetAs" => {
            let [asn] = fields(value, ["asn4"]);
            let asn: u32 = number(asn);
            Capability { four_octet_asn: Some(asn), ..of(65, asn.to_be_bytes().to_vec()) }
        }
        "AddPath" => {
            let add_path = add_path(value);
            let octets = add_path.iter().flat_map(add_path_octets).collect();
            Capability { add_path, ..of(69, octets) }
        }
        "EnhancedRouteRefresh" => of(70, Vec::new()),
        "LongLivedGracefulRestart" => {
            let [families] = fields(value, ["address_families"]);
            of(71, list(families).iter().flat_map(long_lived_family).collect())
        }
        "Fqdn" => {
            let names = fields(value, ["hostname", "domain_name"]).map(text);
            let with_length =
                |name: &str| [&[u8::try_from(name.len()).unwrap()], name.as_bytes()].concat();
            of(73, names.map(with_length).concat())
        }
        "CiscoRouteRefresh" => of(128, Vec::new()),
        "Unrecognized" => {
            let [code, value] = fields(value, ["code", "value"]);
            of(number(code), octets(value))
        }
        other => panic!("{other}"),
    }
}

/// AFI and SAFI, two octets each.
fn family_octets(family: Family) -> [[u8; 2]; 2] {
    [family.afi, family.safi].map(|number| u16::try_from(number).unwrap().to_be_bytes())
}

/// RFC 8950, 4.
fn next_hop_encoding(encoding: &Value) -> Vec<u8> {
    let [family, next_hop] = fields(encoding, ["address_type", "next_hop_afi"]);
    assert_eq!(next_hop, "IPv6");
    [family_octets(super::family(text(family))).concat(), vec![0, 2]].concat()
}

/// RFC 4724, 3; RFC 8538, 2.
fn graceful_restart(value: &Value) -> Vec<u8> {
    let [restart, notification, time, families] =
        fields(value, ["restart", "graceful_notification", "time", "address_families"]);
    let flags = bit::<u16>(restart, 0x80) | bit::<u16>(notification, 0x40);
    let mut octets = (flags << 8 | number::<u16>(time)).to_be_bytes().to_vec();
    for entry in list(families) {
        let [forwarding, family] = fields(entry, ["forwarding_state", "address_type"]);
        let [afi, safi] = family_octets(super::family(text(family)));
        octets.extend([afi[0], afi[1], safi[1], bit(forwarding, 0x80)]);
    }
    octets
}

/// RFC 9494, 3.
fn long_lived_family(entry: &Value) -> Vec<u8> {
    let [forwarding, family, stale_time] =
        fields(entry, ["forwarding_state", "address_type", "stale_time"]);
    let [afi, safi] = family_octets(super::family(text(family)));
    let [_, time @ ..] = number::<u32>(stale_time).to_be_bytes();
    [&afi[..], &[safi[1], bit(forwarding, 0x80)], &time].concat()
}

fn add_path(value: &Value) -> Vec<AddPath> {
    let [families] = fields(value, ["address_families"]);
    let entry = |entry: &Value| {
        let [family, send, receive] = fields(entry, ["address_type", "send", "receive"]);
        let Family { afi, safi } = super::family(text(family));
        AddPath { afi, safi, send_receive: bit::<u32>(receive, 1) | bit::<u32>(send, 2) }
    };
    list(families).iter().map(entry).collect()
}

/// RFC 7911, 4.
fn add_path_octets(entry: &AddPath) -> [u8; 4] {
    let [afi, safi] = family_octets(Family { afi: entry.afi, safi: entry.safi });
    [afi[0], afi[1], safi[1], u8::try_from(entry.send_receive).unwrap()]
}
