//! Attributes that few UPDATEs have, decoded straight into the event's types.

use ribstream_proto::v1;

use super::{
    RawAttribute, Rules, Verdict, aigp, attr_set, attribute_type as ty, bfd_discriminator, copy,
    domain_path, link_state, multiple, pmsi_tunnel, prefix_sid, tunnel_encapsulation,
};
use crate::wire::Malformed;

/// Decodes an attribute into its field of `into`, which is made when the first of
/// them comes. `None` where it is none of those that are decoded here.
pub(super) fn take(
    attribute: RawAttribute<'_>,
    into: &mut Option<Box<v1::PathAttributes>>,
) -> Option<Result<(), (Verdict, Malformed)>> {
    let RawAttribute { kind, value, .. } = attribute;
    let rules = Rules::of(kind)?;
    // None of them may be empty (RFC 7606, 4).
    if value.is_empty() {
        return Some(Err((rules.on_value, Malformed::Length { what: "attribute", length: 0 })));
    }
    let taken =
        match kind {
            ty::PMSI_TUNNEL => pmsi_tunnel::decode(value)
                .map(|v| into.get_or_insert_default().pmsi_tunnel = Some(v)),
            ty::TUNNEL_ENCAPSULATION => tunnel_encapsulation::decode(value)
                .map(|v| into.get_or_insert_default().tunnel_encapsulation = Some(v)),
            ty::IPV6_EXTENDED_COMMUNITIES => {
                multiple(value, 20, "IPv6 EXTENDED COMMUNITIES").map(|v| {
                    into.get_or_insert_default().ipv6_extended_communities =
                        v.chunks_exact(20).map(copy).collect();
                })
            }
            ty::AIGP => aigp::decode(value).map(|v| into.get_or_insert_default().aigp = Some(v)),
            ty::BGP_LS => link_state::parse(value)
                .map(|v| into.get_or_insert_default().link_state = Some(Box::new(v))),
            ty::DOMAIN_PATH => domain_path::decode(value)
                .map(|v| into.get_or_insert_default().domain_path = Some(v)),
            ty::BFD_DISCRIMINATOR => bfd_discriminator::decode(value)
                .map(|v| into.get_or_insert_default().bfd_discriminator = Some(v)),
            ty::PREFIX_SID => {
                return Some(
                    prefix_sid::decode(value)
                        .map(|v| into.get_or_insert_default().prefix_sid = Some(v)),
                );
            }
            ty::ATTR_SET => attr_set::decode(value)
                .map(|v| into.get_or_insert_default().attr_set = Some(Box::new(v))),
            _ => return None,
        };
    Some(taken.map_err(|reason| (rules.on_value, reason)))
}
