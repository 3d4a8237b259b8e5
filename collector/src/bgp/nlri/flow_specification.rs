//! Flow specification (RFC 8955, 4; RFC 8956, 3).
//!
//! ```text
//! | Length (1, or 2 from 240 octets on) | Route Distinguisher (8: SAFI 134) | Components |
//!
//! component:  | Type (1) | Prefix |                types 1 and 2
//!             | Type (1) | Operator (1) | Value (1, 2, 4 or 8) | ...
//! prefix:     | Length (1) | Offset (1: IPv6) | Pattern |
//! operator:   | end | and | length (2) | 0 | less | greater | equal |    numeric
//!             | end | and | length (2) | 0 |  0   |   not   | match |    bitmask
//! ```

use ribstream_proto::{
    family::AfiSafi,
    v1::{self, other_route::Nlri},
};

use super::field::{address_octets, clear_after, distinguisher, padded_prefix};
use crate::wire::{Malformed, Reader};

const LONG_LENGTH: u8 = 0xf0;
const VPN: u8 = 134;
const FLOW_LABEL: u8 = 13;

const END: u8 = 0x80;
const AND: u8 = 0x40;
const LESS: u8 = 0x04;
const GREATER: u8 = 0x02;
const EQUAL: u8 = 0x01;
const NOT: u8 = 0x02;
const MATCH: u8 = 0x01;

/// How the pattern of an IPv6 prefix with an offset is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pattern {
    /// From the offset on (RFC 8956, 3.1).
    FromOffset,
    /// From the first bit on, as FRR, GoBGP and ExaBGP write it.
    Whole,
}

/// Decodes one NLRI.
pub(super) fn decode(
    nlri: &[u8],
    family: AfiSafi,
    route: &mut v1::OtherRoute,
) -> Result<(), Malformed> {
    let mut reader = Reader::new(nlri);
    if reader.u8("flow specification length")? >= LONG_LENGTH {
        reader.u8("flow specification length")?;
    }
    if family.safi == VPN {
        route.route_distinguisher = distinguisher(&mut reader)?;
    }
    let components = components(reader, family.afi, Pattern::FromOffset)
        .or_else(|error| whole_patterns(reader, family.afi).ok_or(error))?;
    route.nlri = Some(Nlri::FlowSpecification(v1::FlowSpecification { components }));
    Ok(())
}

/// The components, with patterns that begin at the first bit; `None` where no
/// pattern has an offset, so that it makes no difference.
fn whole_patterns(reader: Reader<'_>, afi: u16) -> Option<Vec<v1::FlowComponent>> {
    let components = components(reader, afi, Pattern::Whole).ok()?;
    components.iter().any(|component| component.offset != 0).then_some(components)
}

/// In ascending order of their types, each no more than once (RFC 8955, 4.2).
fn components(
    mut reader: Reader<'_>,
    afi: u16,
    pattern: Pattern,
) -> Result<Vec<v1::FlowComponent>, Malformed> {
    const TYPE: &str = "flow component type";
    let mut components = Vec::new();
    let mut last = 0;
    loop {
        let kind = reader.u8(TYPE)?;
        let known = kind < FLOW_LABEL || kind == FLOW_LABEL && afi == 2;
        if kind <= last || !known {
            return Err(Malformed::Value { what: TYPE, value: kind.into() });
        }
        last = kind;
        components.push(component(&mut reader, kind, afi, pattern)?);
        if !reader.any_left() {
            return Ok(components);
        }
    }
}

fn component(
    reader: &mut Reader<'_>,
    kind: u8,
    afi: u16,
    pattern: Pattern,
) -> Result<v1::FlowComponent, Malformed> {
    let mut component = v1::FlowComponent { r#type: kind.into(), ..Default::default() };
    match kind {
        1 | 2 => {
            let (prefix, offset) = prefix(reader, afi, pattern)?;
            component.prefix = Some(prefix);
            component.offset = offset.into();
        }
        // TCP flags and fragment.
        9 | 12 => component.operations = operations(reader, bitmask)?,
        _ => component.operations = operations(reader, numeric)?,
    }
    Ok(component)
}

/// The prefix, and how many bits of it are not compared.
fn prefix(
    reader: &mut Reader<'_>,
    afi: u16,
    pattern: Pattern,
) -> Result<(v1::Prefix, u8), Malformed> {
    const WHAT: &str = "flow prefix";
    let length = reader.u8(WHAT)?;
    let offset = if afi == 2 { reader.u8("flow prefix offset")? } else { 0 };
    if offset != 0 && offset >= length {
        return Err(Malformed::Value { what: "flow prefix offset", value: offset.into() });
    }
    let width = address_octets(afi);
    if offset == 0 || pattern == Pattern::Whole {
        let bytes = reader.take(length.div_ceil(8).into(), WHAT)?;
        let mut prefix = padded_prefix(bytes, length, width, WHAT)?;
        if offset != 0 {
            prefix.address = without_start(&prefix.address, offset).into();
        }
        return Ok((prefix, offset));
    }
    let bits = length - offset;
    let bytes = reader.take(bits.div_ceil(8).into(), WHAT)?;
    let pattern = padded_prefix(bytes, bits, width, WHAT)?;
    let address = shifted(&pattern.address, offset, width);
    let prefix = padded_prefix(&address, length, width, WHAT)?;
    Ok((prefix, offset))
}

/// With the first `offset` bits zero.
fn without_start(address: &[u8], offset: u8) -> Vec<u8> {
    let mut start = address.to_vec();
    clear_after(&mut start, offset);
    address.iter().zip(start).map(|(all, start)| all ^ start).collect()
}

/// Moved by `offset` bits to the right.
fn shifted(pattern: &[u8], offset: u8, width: u8) -> Vec<u8> {
    let mut address = vec![0; (offset / 8).into()];
    let mut carried = 0;
    for octet in pattern {
        let moved = u16::from_be_bytes([*octet, 0]) >> (offset % 8);
        let [high, low] = moved.to_be_bytes();
        address.push(high | carried);
        carried = low;
    }
    address.truncate(width.into());
    address
}

/// Operators with their values, to the one that has the end bit. The "and" of the
/// first means nothing (RFC 8955, 4.2.1.1).
fn operations(
    reader: &mut Reader<'_>,
    flags: impl Fn(u8) -> v1::FlowOperation,
) -> Result<Vec<v1::FlowOperation>, Malformed> {
    const VALUE: &str = "flow operation value";
    let mut operations = Vec::new();
    loop {
        let operator = reader.u8("flow operator")?;
        let value = match operator >> 4 & 3 {
            0 => reader.u8(VALUE)?.into(),
            1 => reader.u16(VALUE)?.into(),
            2 => reader.u32(VALUE)?.into(),
            _ => reader.u64(VALUE)?,
        };
        let and = operator & AND != 0 && !operations.is_empty();
        operations.push(v1::FlowOperation { and, value, ..flags(operator) });
        if operator & END != 0 {
            return Ok(operations);
        }
    }
}

fn numeric(operator: u8) -> v1::FlowOperation {
    v1::FlowOperation {
        less_than: operator & LESS != 0,
        greater_than: operator & GREATER != 0,
        equal: operator & EQUAL != 0,
        ..Default::default()
    }
}

fn bitmask(operator: u8) -> v1::FlowOperation {
    v1::FlowOperation {
        not: operator & NOT != 0,
        r#match: operator & MATCH != 0,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use ribstream_proto::{key, text};

    use super::*;

    const V4: AfiSafi = AfiSafi::new(1, 133);
    const V6: AfiSafi = AfiSafi::new(2, 133);
    const VPN_V4: AfiSafi = AfiSafi::new(1, 134);

    fn nlri(content: &[u8]) -> Vec<u8> {
        let mut nlri = vec![u8::try_from(content.len()).unwrap()];
        nlri.extend(content);
        nlri
    }

    fn read(content: &[u8], family: AfiSafi) -> Result<v1::OtherRoute, Malformed> {
        let nlri = nlri(content);
        let mut route = v1::OtherRoute { raw: nlri.clone().into(), ..Default::default() };
        decode(&nlri, family, &mut route).map(|()| route)
    }

    fn shown(content: &[u8], family: AfiSafi) -> String {
        text::other_route(&read(content, family).unwrap())
    }

    #[test]
    fn the_examples_of_rfc_8955_read_as_it_says() {
        assert_eq!(
            shown(&[1, 24, 192, 0, 2, 3, 0x81, 6, 4, 0x81, 25], V4),
            "Dest:192.0.2.0/24,Proto:=6,Port:=25"
        );
        let ports = [4, 0x03, 137, 0x45, 139, 0x91, 0x1f, 0x90];
        assert_eq!(
            shown(&[&[1, 24, 192, 0, 2, 2, 8, 203][..], &ports].concat(), V4),
            "Dest:192.0.2.0/24,Source:203.0.0.0/8,Port:>=137&<=139|=8080"
        );
        assert_eq!(shown(&[1, 32, 192, 0, 2, 1, 12, 0x80, 5], V4), "Dest:192.0.2.1/32,Frag:DF+FF");
    }

    #[test]
    fn the_offset_of_rfc_8956_moves_the_pattern() {
        let at_an_octet = [1, 0x68, 0x40, 0x12, 0x34, 0x56, 0x78, 0x9a];
        assert_eq!(shown(&at_an_octet, V6), "Dest:::1234:5678:9a00:0/64-104");
        let within_one = [1, 0x68, 0x41, 0x24, 0x68, 0xac, 0xf1, 0x34];
        assert_eq!(shown(&within_one, V6), "Dest:::1234:5678:9a00:0/65-104");
    }

    #[test]
    fn a_pattern_that_begins_before_its_offset_is_understood() {
        let mut content = vec![2, 128, 120];
        content.extend([0xff; 15]);
        content.extend([1, 3, 0x81, 17]);
        assert_eq!(shown(&content, V6), "Source:::1/120-128,NextHdr:=17");
    }

    #[test]
    fn every_component_type_has_a_name() {
        let mut content = vec![1, 0, 0, 2, 0, 0];
        for kind in 3..=13 {
            content.extend([kind, 0x81, 2]);
        }
        assert_eq!(
            shown(&content, V6),
            "Dest:::/0,Source:::/0,NextHdr:=2,Port:=2,DPort:=2,SPort:=2,ICMPType:=2,ICMPCode:=2,\
             TCPFlags:=SYN,Length:=2,DSCP:=2,Frag:=IsF,FlowLabel:=2"
        );
    }

    #[test]
    fn values_have_one_two_four_or_eight_octets() {
        let content = [10, 0x01, 1, 0x11, 1, 0, 0x21, 1, 0, 0, 0, 0xb1, 1, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(
            shown(&content, V4),
            format!("Length:=1|=256|={}|={}", 1_u32 << 24, 1_u64 << 56)
        );
    }

    #[test]
    fn a_vpn_form_has_a_distinguisher() {
        let content = [0, 0, 0xfd, 0xe9, 0, 0, 0, 7, 2, 8, 10];
        assert_eq!(shown(&content, VPN_V4), "65001:7 Source:10.0.0.0/8");
        assert!(read(&content[..8], VPN_V4).is_err());
    }

    #[test]
    fn the_length_may_be_written_in_two_octets_and_the_key_is_the_same() {
        let short = read(&[2, 8, 10], V4).unwrap();
        let long = [0xf0, 3, 2, 8, 10];
        let mut route = v1::OtherRoute { raw: long.to_vec().into(), ..Default::default() };
        decode(&long, V4, &mut route).unwrap();
        assert_eq!((&route.nlri, key::other(&route)), (&short.nlri, key::other(&short)));
    }

    #[test]
    fn what_the_rfcs_forbid_is_refused() {
        for (content, family, why) in [
            (&[][..], V4, "no component"),
            (&[3, 0x81, 6, 1, 8, 10], V4, "descending types"),
            (&[3, 0x81, 6, 3, 0x81, 7], V4, "a type twice"),
            (&[1, 33, 1, 2, 3, 4, 5], V4, "a prefix longer than an address"),
            (&[3, 0x01, 6], V4, "no end"),
            (&[13, 0x81, 1], V4, "a flow label of IPv4"),
            (&[14, 0x81, 1], V6, "an unknown type"),
            (&[1, 8, 8, 10], V6, "nothing after the offset"),
            (&[3, 0xb1, 6], V4, "a value cut short"),
        ] {
            assert!(read(content, family).is_err(), "{why}");
        }
    }
}
