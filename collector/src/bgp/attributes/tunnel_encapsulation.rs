//! Tunnel Encapsulation (RFC 9012).
//!
//! ```text
//! | Tunnel Type (2) | Length (2) | sub-TLVs |  ...
//! sub-TLV: | Type (1) | Length (1, or 2 from type 128 on) | Value |
//! ```

use ribstream_proto::{registry, v1};

use super::{copy, is_address, prefix_sid, sr_candidate_path, tlv, u24};
use crate::wire::{Malformed, Reader};

const WHAT: &str = "tunnel encapsulation";
const SUB_TLV: &str = "tunnel sub-TLV";

/// Tunnel types (IANA).
mod tunnel {
    pub(super) const L2TPV3: u16 = 1;
    pub(super) const GRE: u16 = 2;
    pub(super) const VXLAN: u16 = 8;
    pub(super) const NVGRE: u16 = 9;
    pub(super) const MPLS_IN_GRE: u16 = 11;
    pub(super) const SR_POLICY: u16 = 15;
}

/// Sub-TLV types (IANA).
mod sub_tlv {
    pub(super) const ENCAPSULATION: u8 = 1;
    pub(super) const PROTOCOL_TYPE: u8 = 2;
    pub(super) const COLOR: u8 = 4;
    pub(super) const LOAD_BALANCING_BLOCK: u8 = 5;
    pub(super) const EGRESS_ENDPOINT: u8 = 6;
    pub(super) const DS_FIELD: u8 = 7;
    pub(super) const UDP_DESTINATION_PORT: u8 = 8;
    pub(super) const EMBEDDED_LABEL_HANDLING: u8 = 9;
    pub(super) const MPLS_LABEL_STACK: u8 = 10;
    pub(super) const PREFIX_SID: u8 = 11;
    /// From here on a sub-TLV's length has two octets.
    pub(super) const LONG: u8 = 128;
}

/// Decodes the attribute. It is malformed where its TLVs or their sub-TLVs do not
/// fill it; a sub-TLV whose content is broken is kept as if its type were not
/// known (RFC 9012, 13).
pub(super) fn decode(value: &[u8]) -> Result<v1::TunnelEncapsulation, Malformed> {
    let mut reader = Reader::new(value);
    let mut tunnels = Vec::new();
    while reader.any_left() {
        let kind = reader.u16(WHAT)?;
        let length = reader.u16(WHAT)?;
        tunnels.push(tunnel(kind, reader.sub(length.into(), WHAT)?)?);
    }
    Ok(v1::TunnelEncapsulation { tunnels })
}

fn tunnel(kind: u16, mut sub_tlvs: Reader<'_>) -> Result<v1::Tunnel, Malformed> {
    let mut tunnel = v1::Tunnel {
        r#type: kind.into(),
        type_name: registry::tunnel_type(kind).to_owned(),
        ..v1::Tunnel::default()
    };
    let mut path = v1::SrCandidatePath::default();
    while sub_tlvs.any_left() {
        let (sub_kind, value) = next_sub_tlv(&mut sub_tlvs)?;
        let taken = (kind == tunnel::SR_POLICY
            && sr_candidate_path::take(sub_kind, value, &mut path))
            || take(kind, sub_kind, value, &mut tunnel).is_ok();
        if !taken {
            tunnel.other.push(tlv(sub_kind, value));
        }
    }
    if kind == tunnel::SR_POLICY {
        tunnel.sr_candidate_path = Some(Box::new(path));
    }
    Ok(tunnel)
}

/// Reads a sub-TLV, of a tunnel or of a part of an SR policy.
pub(super) fn next_sub_tlv<'a>(reader: &mut Reader<'a>) -> Result<(u8, &'a [u8]), Malformed> {
    let kind = reader.u8(SUB_TLV)?;
    let length =
        if kind < sub_tlv::LONG { reader.u8(SUB_TLV)?.into() } else { reader.u16(SUB_TLV)? };
    Ok((kind, reader.take(length.into(), SUB_TLV)?))
}

/// Takes a sub-TLV into its field; an error where it is to be kept as sent.
fn take(kind: u16, sub_kind: u8, value: &[u8], tunnel: &mut v1::Tunnel) -> Result<(), Malformed> {
    let mut reader = Reader::new(value);
    match sub_kind {
        sub_tlv::ENCAPSULATION => once(&mut tunnel.encapsulation, header(kind, &mut reader)?)?,
        sub_tlv::PROTOCOL_TYPE => once(&mut tunnel.protocol_type, reader.u16(SUB_TLV)?.into())?,
        sub_tlv::COLOR => {
            // A color extended community, its own type and flags included.
            reader.take(4, SUB_TLV)?;
            once(&mut tunnel.color, reader.u32(SUB_TLV)?)?;
        }
        sub_tlv::LOAD_BALANCING_BLOCK => {
            once(&mut tunnel.load_balancing_block, reader.u16(SUB_TLV)?.into())?;
        }
        sub_tlv::EGRESS_ENDPOINT => {
            // Reserved and address family: the length tells it too.
            reader.take(6, SUB_TLV)?;
            let address = reader.take_rest();
            if !address.is_empty() && !is_address(address) {
                return Err(Malformed::Length { what: SUB_TLV, length: address.len() });
            }
            once(&mut tunnel.egress_endpoint, copy(address))?;
        }
        sub_tlv::DS_FIELD => once(&mut tunnel.ds_field, reader.u8(SUB_TLV)?.into())?,
        sub_tlv::UDP_DESTINATION_PORT => {
            once(&mut tunnel.udp_destination_port, reader.u16(SUB_TLV)?.into())?;
        }
        sub_tlv::EMBEDDED_LABEL_HANDLING => {
            once(&mut tunnel.embedded_label_handling, reader.u8(SUB_TLV)?.into())?;
        }
        sub_tlv::MPLS_LABEL_STACK if tunnel.label_stack.is_empty() => {
            let mut stack = Vec::new();
            while reader.any_left() {
                stack.push(label_stack_entry(reader.u32(SUB_TLV)?));
            }
            tunnel.label_stack = stack;
        }
        sub_tlv::PREFIX_SID => {
            let sid = prefix_sid::decode(reader.take_rest()).map_err(|(_, reason)| reason)?;
            once(&mut tunnel.prefix_sid, Box::new(sid))?;
        }
        _ => return Err(Malformed::Value { what: SUB_TLV, value: sub_kind.into() }),
    }
    reader.finish(SUB_TLV)
}

/// Fills a field, unless an earlier sub-TLV has.
fn once<T>(field: &mut Option<T>, value: T) -> Result<(), Malformed> {
    if field.is_some() {
        return Err(Malformed::Value { what: "repeated sub-TLV", value: 0 });
    }
    *field = Some(value);
    Ok(())
}

/// The Encapsulation sub-TLV of a tunnel type (RFC 9012, 3.2).
fn header(kind: u16, reader: &mut Reader<'_>) -> Result<v1::TunnelHeader, Malformed> {
    const VNI_VALID: u8 = 0x80;
    const MAC_VALID: u8 = 0x40;
    let mut header = v1::TunnelHeader::default();
    match kind {
        tunnel::VXLAN | tunnel::NVGRE => {
            let flags = reader.u8(SUB_TLV)?;
            let vni = u24(reader, SUB_TLV)?;
            let mac = reader.take(6, SUB_TLV)?;
            reader.u16(SUB_TLV)?;
            header.vni = (flags & VNI_VALID != 0).then_some(vni);
            if flags & MAC_VALID != 0 {
                header.mac = copy(mac);
            }
        }
        tunnel::L2TPV3 => {
            header.session_id = Some(reader.u32(SUB_TLV)?);
            header.cookie = copy(reader.take_rest());
        }
        tunnel::GRE | tunnel::MPLS_IN_GRE => header.key = Some(reader.u32(SUB_TLV)?),
        _ => return Err(Malformed::Value { what: "encapsulation of tunnel", value: kind.into() }),
    }
    Ok(header)
}

/// Label (20 bits), traffic class (3), bottom of stack (1), TTL (8) (RFC 3032, 2.1).
pub(super) const fn label_stack_entry(entry: u32) -> v1::LabelStackEntry {
    v1::LabelStackEntry {
        label: entry >> 12,
        traffic_class: entry >> 9 & 7,
        bottom_of_stack: entry >> 8 & 1 != 0,
        ttl: entry & 0xff,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The attribute with one tunnel of one sub-TLV.
    fn one(kind: u8, sub_kind: u8, value: &[u8]) -> v1::Tunnel {
        let length = u8::try_from(value.len()).unwrap();
        let mut bytes = vec![0, kind, 0, length + 2, sub_kind, length];
        bytes.extend(value);
        decode(&bytes).unwrap().tunnels.remove(0)
    }

    #[test]
    fn the_encapsulation_is_read_as_the_tunnel_type_says() {
        let vxlan = one(8, 1, &[0xc0, 0, 3, 0xe8, 0, 1, 2, 3, 4, 5, 0, 0]).encapsulation.unwrap();
        assert_eq!((vxlan.vni, &vxlan.mac[..]), (Some(1000), &[0, 1, 2, 3, 4, 5][..]));
        let no_vni = one(9, 1, &[0, 0, 3, 0xe8, 0, 1, 2, 3, 4, 5, 0, 0]).encapsulation.unwrap();
        assert_eq!((no_vni.vni, no_vni.mac.len()), (None, 0));
        let l2tp = one(1, 1, &[0, 0, 0, 9, 1, 2]).encapsulation.unwrap();
        assert_eq!((l2tp.session_id, &l2tp.cookie[..]), (Some(9), &[1, 2][..]));
        assert_eq!(one(2, 1, &[0, 0, 0, 7]).encapsulation.unwrap().key, Some(7));
    }

    #[test]
    fn each_sub_tlv_has_its_field() {
        assert_eq!(one(2, 2, &[8, 0]).protocol_type, Some(0x0800));
        assert_eq!(one(2, 4, &[3, 0x0b, 0, 0, 0, 0, 0, 100]).color, Some(100));
        assert_eq!(one(2, 5, &[0, 24]).load_balancing_block, Some(24));
        let endpoint = one(2, 6, &[0, 0, 0, 0, 0, 1, 192, 0, 2, 1]).egress_endpoint;
        assert_eq!(endpoint.as_deref(), Some(&[192, 0, 2, 1][..]));
        assert_eq!(one(2, 6, &[0; 6]).egress_endpoint.as_deref(), Some(&[][..]));
        assert_eq!(one(2, 7, &[0x2e]).ds_field, Some(0x2e));
        assert_eq!(one(8, 8, &[0x12, 0xb5]).udp_destination_port, Some(4789));
        assert_eq!(one(8, 9, &[1]).embedded_label_handling, Some(1));
        let stack = one(13, 10, &[0x03, 0xe8, 0x13, 0xff]).label_stack;
        assert_eq!((stack[0].label, stack[0].traffic_class), (16001, 1));
        assert!(stack[0].bottom_of_stack);
        let sid = one(13, 11, &[1, 0, 7, 0, 0, 0, 0, 0, 0, 5]).prefix_sid;
        assert_eq!(sid.unwrap().label_index, Some(5));
    }

    #[test]
    fn a_sub_tlv_that_is_unknown_broken_or_repeated_is_kept_as_sent() {
        assert_eq!(one(2, 99, &[1]).other[0].r#type, 99);
        assert_eq!(one(2, 8, &[1, 2, 3]).other[0].value, [1, 2, 3][..]);
        assert_eq!(one(2, 6, &[0, 0, 0, 0, 0, 1, 192]).other.len(), 1);
        let twice = decode(&[0, 2, 0, 6, 7, 1, 1, 7, 1, 2]).unwrap();
        assert_eq!(twice.tunnels[0].ds_field, Some(1));
        assert_eq!(twice.tunnels[0].other[0].value, [2][..]);
    }

    #[test]
    fn tlvs_that_do_not_fill_the_attribute_are_malformed() {
        assert!(decode(&[0, 2, 0]).is_err());
        assert!(decode(&[0, 2, 0, 9, 7, 1, 1]).is_err());
        assert!(decode(&[0, 2, 0, 3, 7, 2, 1]).is_err());
    }
}
