//! PMSI Tunnel (RFC 6514, 5).
//!
//! ```text
//! | Flags (1) | Tunnel Type (1) | MPLS Label (3) | Tunnel Identifier |
//! ```

use prost::bytes::Bytes;
use ribstream_proto::{registry, v1};

use super::{copy, is_address, u24};
use crate::wire::{Malformed, Reader};

const WHAT: &str = "PMSI tunnel";
const IDENTIFIER: &str = "PMSI tunnel identifier";

/// Tunnel types (IANA; RFC 6514, 5; RFC 8556, 2; RFC 9574, 4).
mod tunnel {
    pub(super) const NONE: u8 = 0;
    pub(super) const RSVP_TE_P2MP: u8 = 1;
    pub(super) const MLDP_P2MP: u8 = 2;
    pub(super) const PIM_SSM: u8 = 3;
    pub(super) const PIM_SM: u8 = 4;
    pub(super) const BIDIR_PIM: u8 = 5;
    pub(super) const INGRESS_REPLICATION: u8 = 6;
    pub(super) const MLDP_MP2MP: u8 = 7;
    pub(super) const ASSISTED_REPLICATION: u8 = 10;
    pub(super) const BIER: u8 = 11;
    pub(super) const SR_MPLS_P2MP: u8 = 12;
    pub(super) const SRV6_P2MP: u8 = 13;
}

/// Tunnel types with this bit, up to 0xfa, are composite (RFC 8317, 6.2); those
/// beyond are for experiments.
const COMPOSITE: u8 = 0x80;
const LAST_COMPOSITE: u8 = 0xfa;

/// Decodes the attribute. The label field is put down as label and as VNI: see
/// [`settle`].
pub(super) fn decode(value: &[u8]) -> Result<v1::PmsiTunnel, Malformed> {
    let mut reader = Reader::new(value);
    let flags = reader.u8(WHAT)?;
    let kind = reader.u8(WHAT)?;
    let label = u24(&mut reader, "PMSI tunnel label")?;
    let mut pmsi = v1::PmsiTunnel {
        flags: flags.into(),
        tunnel_type: kind.into(),
        label: (label != 0).then_some(label >> 4),
        vni: (label != 0).then_some(label),
        tunnel_identifier: copy(reader.rest()),
        ..v1::PmsiTunnel::default()
    };
    let mut kind = kind;
    if (COMPOSITE..=LAST_COMPOSITE).contains(&kind) {
        kind &= !COMPOSITE;
        if matches!(kind, tunnel::NONE | tunnel::INGRESS_REPLICATION) {
            return Err(Malformed::Value { what: "composite PMSI tunnel", value: kind.into() });
        }
        pmsi.tunnel_type = kind.into();
        pmsi.composite_label = Some(u24(&mut reader, "PMSI tunnel label")? >> 4);
    }
    registry::pmsi_tunnel_type(kind).clone_into(&mut pmsi.tunnel_type_name);
    identifier(kind, reader, &mut pmsi)?;
    Ok(pmsi)
}

/// Keeps the label or the VNI, as the encapsulation has it (RFC 8365, 5.1.3). It
/// may stand in an attribute that follows this one.
pub(super) fn settle(pmsi: &mut v1::PmsiTunnel, virtual_networks: bool) {
    if virtual_networks {
        pmsi.label = None;
    } else {
        pmsi.vni = None;
    }
}

/// Reads what the tunnel type makes of its identifier. That of a type that is not
/// known may be anything.
fn identifier(
    kind: u8,
    mut reader: Reader<'_>,
    pmsi: &mut v1::PmsiTunnel,
) -> Result<(), Malformed> {
    let length = reader.rest().len();
    match kind {
        tunnel::RSVP_TE_P2MP => {
            let octets = if length > 12 { 16 } else { 4 };
            pmsi.address = copy(reader.take(octets, IDENTIFIER)?);
            reader.u16(IDENTIFIER)?;
            pmsi.tunnel_id = Some(reader.u16(IDENTIFIER)?.into());
            pmsi.p2mp_id = Some(reader.u32(IDENTIFIER)?);
        }
        tunnel::MLDP_P2MP | tunnel::MLDP_MP2MP => {
            // A FEC element (RFC 6388, 2.2): its type, address family, root, opaque value.
            reader.u8(IDENTIFIER)?;
            reader.u16(IDENTIFIER)?;
            let octets = reader.u8(IDENTIFIER)?;
            pmsi.address = copy(reader.take(octets.into(), IDENTIFIER)?);
            let octets = reader.u16(IDENTIFIER)?;
            pmsi.opaque_value = copy(reader.take(octets.into(), IDENTIFIER)?);
        }
        tunnel::PIM_SSM | tunnel::PIM_SM | tunnel::BIDIR_PIM => {
            let octets = length / 2;
            pmsi.address = address(reader.take(octets, IDENTIFIER)?)?;
            pmsi.group = address(reader.take(octets, IDENTIFIER)?)?;
        }
        tunnel::INGRESS_REPLICATION | tunnel::ASSISTED_REPLICATION => {
            pmsi.address = address(reader.take_rest())?;
        }
        tunnel::BIER => {
            pmsi.sub_domain_id = Some(reader.u8(IDENTIFIER)?.into());
            pmsi.bfr_id = Some(reader.u16(IDENTIFIER)?.into());
            pmsi.address = address(reader.take_rest())?;
        }
        // From a draft that has had other forms: what does not fit stays as it is.
        tunnel::SR_MPLS_P2MP | tunnel::SRV6_P2MP if matches!(length, 8 | 20) => {
            pmsi.tree_id = Some(reader.u32(IDENTIFIER)?);
            pmsi.address = address(reader.take_rest())?;
        }
        _ => return Ok(()),
    }
    reader.finish(IDENTIFIER)
}

fn address(octets: &[u8]) -> Result<Bytes, Malformed> {
    if is_address(octets) {
        Ok(copy(octets))
    } else {
        Err(Malformed::Length { what: IDENTIFIER, length: octets.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tunnel_type_has_its_identifier() {
        let rsvp = decode(&[1, 1, 0, 0, 0, 10, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 9]).unwrap();
        assert_eq!(
            (&rsvp.address[..], rsvp.tunnel_id, rsvp.p2mp_id),
            (&[10, 0, 0, 1][..], Some(7), Some(9))
        );
        assert_eq!(rsvp.label, None);
        let mldp =
            decode(&[0, 2, 0, 0, 0, 6, 0, 1, 4, 10, 0, 0, 1, 0, 7, 1, 0, 4, 0, 0, 0, 5]).unwrap();
        assert_eq!(mldp.address, [10, 0, 0, 1][..]);
        assert_eq!(mldp.opaque_value, [1, 0, 4, 0, 0, 0, 5][..]);
        let ssm = decode(&[0, 3, 0, 0, 0, 10, 0, 0, 1, 232, 0, 0, 1]).unwrap();
        assert_eq!((&ssm.address[..], &ssm.group[..]), (&[10, 0, 0, 1][..], &[232, 0, 0, 1][..]));
        let bier = decode(&[0, 11, 0, 0, 0, 1, 0, 2, 10, 0, 0, 1]).unwrap();
        assert_eq!((bier.sub_domain_id, bier.bfr_id), (Some(1), Some(2)));
        let none = decode(&[1, 0, 0, 0, 0]).unwrap();
        assert_eq!(none.tunnel_type_name, "no-tunnel");
    }

    #[test]
    fn the_label_field_is_a_label_or_a_vni() {
        let mut pmsi = decode(&[0, 6, 0, 0x03, 0xe8, 10, 0, 0, 1]).unwrap();
        assert_eq!(pmsi.tunnel_type_name, "ingress-replication");
        let mut vxlan = pmsi.clone();
        settle(&mut pmsi, false);
        settle(&mut vxlan, true);
        assert_eq!((pmsi.label, pmsi.vni), (Some(62), None));
        assert_eq!((vxlan.label, vxlan.vni), (None, Some(1000)));
    }

    #[test]
    fn a_composite_tunnel_has_a_label_of_its_own() {
        let pmsi = decode(&[0, 0x83, 0, 0, 0, 0, 0x03, 0xe1, 10, 0, 0, 1, 232, 0, 0, 1]).unwrap();
        assert_eq!((pmsi.tunnel_type, pmsi.composite_label), (3, Some(62)));
        assert_eq!(pmsi.address, [10, 0, 0, 1][..]);
        assert!(decode(&[0, 0x80, 0, 0, 0, 0, 0x03, 0xe1]).is_err());
        assert!(decode(&[0, 0x86, 0, 0, 0, 0, 0x03, 0xe1, 10, 0, 0, 1]).is_err());
    }

    #[test]
    fn a_tunnel_type_that_is_not_known_keeps_its_identifier() {
        let pmsi = decode(&[0, 77, 0, 0, 0, 1, 2, 3]).unwrap();
        assert_eq!(pmsi.tunnel_identifier, [1, 2, 3][..]);
        assert!(pmsi.tunnel_type_name.is_empty());
    }
}
