//! Extended communities (RFC 4360, RFC 5701 and the IANA registries).
//!
//! ```text
//! | Type (1) | Sub-Type (1) | Value (6) |
//! ```
//!
//! A text names its value alone: where a community has bits that its type does not
//! define, it is written in hexadecimal digits, and no two communities read the same.
//! The exception is a rate or a bandwidth that is not a number, of which there are
//! many: they are written in digits too.

#![allow(clippy::many_single_char_names, reason = "a to f are the octets of the value")]

mod evpn;
mod flow_specification;

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::registry;

/// The bit of a type that says that an AS does not pass the community on.
const NON_TRANSITIVE: u8 = 0x40;

/// An extended community in its usual text, `rt:65001:7`; `0x` and 16
/// hexadecimal digits where its type is not known.
#[must_use]
pub fn extended_community(community: u64) -> String {
    let [kind, sub_kind, value @ ..] = community.to_be_bytes();
    let text = match kind {
        0x00..=0x02 | 0x40..=0x42 => administered(kind, sub_kind, value),
        0x03 | 0x43 => opaque(kind, sub_kind, value),
        0x06 => evpn::text(sub_kind, value),
        0x08 | 0x80..=0x82 => flow_specification::text(kind, sub_kind, value),
        // draft-ietf-bess-mup-safi: the direct segment identifier.
        0x0c if sub_kind == 0 => Some(format!("mup:{}", as2(value))),
        _ => None,
    };
    text.unwrap_or_else(|| format!("0x{community:016x}"))
}

/// An IPv6 address specific extended community (RFC 5701) of 20 octets, as
/// `rt:[2001:db8::1]:7`.
#[must_use]
pub fn ipv6_extended_community(bytes: &[u8]) -> String {
    ipv6(bytes).unwrap_or_else(|| format!("0x{}", super::hex(bytes)))
}

fn ipv6(bytes: &[u8]) -> Option<String> {
    let (&[kind, sub_kind], rest) = bytes.split_first_chunk()?;
    let (&address, local) = rest.split_first_chunk::<16>()?;
    let local = u16::from_be_bytes(local.try_into().ok()?);
    let name = match sub_kind {
        0x02 => "rt",
        0x03 => "soo",
        0x0b => "vrf-route-import",
        0x0c => "redirect-to-ip",
        0x0d => "redirect",
        0x10 => "vpn-id",
        0x12 => "segmented-next-hop",
        0x13 => "rt-record",
        _ => return None,
    };
    let prefix = match kind {
        0 => "",
        NON_TRANSITIVE => "non-transitive-",
        _ => return None,
    };
    Some(format!("{prefix}{name}:[{}]:{local}", Ipv6Addr::from(address)))
}

/// The three forms with an administrator: 2-octet AS (RFC 4360, 3.1), IPv4 address
/// (RFC 4360, 3.2) and 4-octet AS (RFC 5668).
fn administered(kind: u8, sub_kind: u8, value: [u8; 6]) -> Option<String> {
    let form = kind & !NON_TRANSITIVE;
    // The name, and whether the community usually is a transitive one.
    let (name, transitive) = match (form, sub_kind) {
        (0, 0x04) => ("link-bandwidth", false),
        (_, 0x02) => ("rt", true),
        (_, 0x03) => ("soo", true),
        (2, 0x04) => ("generic", true),
        (_, 0x05) => ("ospf-domain", true),
        (1, 0x07) => ("ospf-router-id", true),
        (0 | 2, 0x08) => ("bgp-data-collection", true),
        (0 | 2, 0x09) => ("source-as", true),
        (0 | 1, 0x0a) => ("l2vpn-id", true),
        (1, 0x0b) => ("vrf-route-import", true),
        (1, 0x0c) => ("redirect-to-ip", true),
        (_, 0x10) => ("vpn-id", true),
        (1, 0x12) => ("segmented-next-hop", true),
        (_, 0x13) => ("rt-record", true),
        (1, 0x14) => ("vrf-recursive-next-hop", true),
        (0, 0x80) => ("vni", false),
        _ => return None,
    };
    let prefix = variant(kind, transitive);
    let [a, b, c, d, e, f] = value;
    let value = match (form, sub_kind) {
        (0, 0x04) => format!("{}:{}", u16::from_be_bytes([a, b]), number([c, d, e, f])?),
        (1, 0x07 | 0x0c) if [e, f] == [0, 0] => Ipv4Addr::new(a, b, c, d).to_string(),
        // The lowest bit asks for a copy (draft-ietf-idr-flowspec-redirect-ip).
        (1, 0x0c) if [e, f] == [0, 1] => format!("{}:copy", Ipv4Addr::new(a, b, c, d)),
        (0, _) => as2(value),
        (1, _) => ip4(value),
        _ => as4(value),
    };
    Some(format!("{prefix}{name}:{value}"))
}

/// What precedes the name of a community that is not as transitive as usual.
const fn variant(kind: u8, usually_transitive: bool) -> &'static str {
    match (kind & NON_TRANSITIVE == 0, usually_transitive) {
        (true, false) => "transitive-",
        (false, true) => "non-transitive-",
        _ => "",
    }
}

/// Opaque ones (RFC 4360, 3.3).
fn opaque(kind: u8, sub_kind: u8, value: [u8; 6]) -> Option<String> {
    let [a, b, c, d, e, f] = value;
    let low = u32::from_be_bytes([c, d, e, f]);
    let (text, transitive) = match sub_kind {
        0x00 if kind == 0x43 => {
            let state = match value {
                [0, 0, 0, 0, 0, 0] => "valid".to_owned(),
                [0, 0, 0, 0, 0, 1] => "not-found".to_owned(),
                [0, 0, 0, 0, 0, 2] => "invalid".to_owned(),
                [0, 0, 0, 0, 0, other] => other.to_string(),
                _ => return None,
            };
            (format!("ovs:{state}"), false)
        }
        0x01 => {
            let point = match a {
                128 => "pre-bestpath".to_owned(),
                129 => "igp".to_owned(),
                other => other.to_string(),
            };
            (format!("cost:{point}:{b}:{low}"), false)
        }
        0x04 if value == [0; 6] => ("extranet-source".to_owned(), true),
        0x05 if value == [0; 6] => ("extranet-separation".to_owned(), true),
        0x06 => (format!("ospf-route-type:{}:{e}:{f}", Ipv4Addr::new(a, b, c, d)), true),
        0x07 => (format!("pmsi-flags:0x{}", crate::text::hex(&value)), true),
        // Color-Only bits (RFC 9256, 8.8.1).
        0x0b if [a, b] == [0, 0] => (format!("color:{low}"), true),
        0x0b if [a & 0x3f, b] == [0, 0] => (format!("color:co{:02b}:{low}", a >> 6), true),
        0x0c if [a, b, c, d] == [0; 4] => {
            let number = u16::from_be_bytes([e, f]);
            let text = match registry::tunnel_type(number) {
                "" => format!("encap:{number}"),
                name => format!("encap:{name}"),
            };
            (text, true)
        }
        0x0d if value == [0; 6] => ("default-gateway".to_owned(), true),
        _ => return None,
    };
    Some(format!("{}{text}", variant(kind, transitive)))
}

/// A 2-octet AS and a number of 4 octets.
fn as2([a, b, c, d, e, f]: [u8; 6]) -> String {
    format!("{}:{}", u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, f]))
}

/// An IPv4 address and a number of 2 octets.
fn ip4([a, b, c, d, e, f]: [u8; 6]) -> String {
    format!("{}:{}", Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([e, f]))
}

/// A 4-octet AS and a number of 2 octets. An AS that 2 octets could hold has an L,
/// so that the form can be told from [`as2`].
fn as4([a, b, c, d, e, f]: [u8; 6]) -> String {
    let asn = u32::from_be_bytes([a, b, c, d]);
    let long = if asn <= u16::MAX.into() { "L" } else { "" };
    format!("{asn}{long}:{}", u16::from_be_bytes([e, f]))
}

/// A number in IEEE floating point, in the digits that name it alone.
fn number(octets: [u8; 4]) -> Option<String> {
    let number = f32::from_be_bytes(octets);
    (!number.is_nan()).then(|| number.to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn every_community_has_its_usual_text() {
        let cases = [
            (0x0002_fde9_0000_0007, "rt:65001:7"),
            (0x0102_c000_0201_0007, "rt:192.0.2.1:7"),
            (0x0202_0001_0000_0007, "rt:65536:7"),
            (0x0202_0000_fde9_0007, "rt:65001L:7"),
            (0x4002_fde9_0000_0007, "non-transitive-rt:65001:7"),
            (0x0003_fde9_0000_0007, "soo:65001:7"),
            (0x0005_fde9_0000_0001, "ospf-domain:65001:1"),
            (0x0107_c000_0201_0000, "ospf-router-id:192.0.2.1"),
            (0x0009_fde9_0000_0000, "source-as:65001:0"),
            (0x010b_c000_0201_0005, "vrf-route-import:192.0.2.1:5"),
            (0x0112_c000_0201_0000, "segmented-next-hop:192.0.2.1:0"),
            (0x0008_fde9_0000_0001, "bgp-data-collection:65001:1"),
            (0x4004_fde9_47f4_2400, "link-bandwidth:65001:125000"),
            (0x0004_fde9_47f4_2400, "transitive-link-bandwidth:65001:125000"),
            (0x010c_c000_0201_0000, "redirect-to-ip:192.0.2.1"),
            (0x010c_c000_0201_0001, "redirect-to-ip:192.0.2.1:copy"),
            (0x4301_8107_0000_0064, "cost:igp:7:100"),
            (0x4301_8007_0000_0064, "cost:pre-bestpath:7:100"),
            (0x0306_0000_0001_0501, "ospf-route-type:0.0.0.1:5:1"),
            (0x030b_0000_0000_0064, "color:100"),
            (0x030b_4000_0000_0064, "color:co01:100"),
            (0x030c_0000_0000_0008, "encap:vxlan"),
            (0x030c_0000_0000_00ff, "encap:255"),
            (0x030d_0000_0000_0000, "default-gateway"),
            (0x4300_0000_0000_0000, "ovs:valid"),
            (0x4300_0000_0000_0001, "ovs:not-found"),
            (0x4300_0000_0000_0002, "ovs:invalid"),
            (0x0c00_000a_0000_000a, "mup:10:10"),
        ];
        for (community, text) in cases {
            assert_eq!(extended_community(community), text);
        }
    }

    #[test]
    fn what_is_not_known_is_in_hexadecimal_digits() {
        for community in [
            0x7777_0000_0000_0001_u64,
            0x030d_0000_0000_0001,
            0x030c_0100_0000_0008,
            0x030b_2000_0000_0064,
            0x4300_0100_0000_0000,
            0x4004_fde9_7fc0_0000,
        ] {
            assert_eq!(extended_community(community), format!("0x{community:016x}"));
        }
    }

    #[test]
    fn no_two_communities_read_the_same() {
        let mut texts = HashMap::new();
        let kinds = (0..=0x0c).chain(0x40..=0x44).chain(0x80..=0x82);
        let values = (0..48).map(|bit| 1_u64 << bit);
        let values: Vec<_> = values
            .flat_map(|bit| [bit, 0xffff_ffff_ffff ^ bit, 0xfde9_47f4_2400 ^ bit])
            .chain([0, 0xffff_ffff_ffff, 0xfde9_47f4_2400])
            .collect();
        for kind in kinds {
            for sub_kind in 0..256 {
                for value in &values {
                    let community = kind << 56 | sub_kind << 48 | value;
                    let other = texts.insert(extended_community(community), community);
                    assert_eq!(other.unwrap_or(community), community);
                }
            }
        }
    }

    #[test]
    fn an_ipv6_community_has_its_address_in_brackets() {
        let mut bytes = [0; 20];
        bytes[1] = 2;
        bytes[2..6].copy_from_slice(&[0x20, 1, 0xd, 0xb8]);
        bytes[17] = 1;
        bytes[19] = 7;
        assert_eq!(ipv6_extended_community(&bytes), "rt:[2001:db8::1]:7");
        bytes[0] = 0x40;
        assert_eq!(ipv6_extended_community(&bytes), "non-transitive-rt:[2001:db8::1]:7");
        bytes[1] = 0x77;
        assert!(ipv6_extended_community(&bytes).starts_with("0x4077"));
        assert_eq!(ipv6_extended_community(&[1, 2]), "0x0102");
    }
}
