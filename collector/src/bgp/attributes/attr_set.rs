//! ATTR_SET (RFC 6368, 5): a customer's attributes, carried through a provider.
//!
//! ```text
//! | Origin AS (4) | Path Attributes |
//! ```

use ribstream_proto::v1;

use super::{Aggregator, Attributes, copy};
use crate::{
    bgp::AsPath,
    wire::{Malformed, Reader},
};

const WHAT: &str = "ATTR_SET";

/// Decodes the attributes inside, with four octets to an AS number.
pub(super) fn decode(value: &[u8]) -> Result<v1::AttrSet, Malformed> {
    let mut reader = Reader::new(value);
    let origin_asn = reader.u32(WHAT)?;
    let attributes = Attributes::parse_nested(reader.rest())?;
    Ok(v1::AttrSet { origin_asn, attributes: Some(Box::new(event_form(attributes))) })
}

fn event_form(attributes: Attributes<'_>) -> v1::PathAttributes {
    let large_communities = attributes.large_communities.chunks_exact(12).filter_map(|community| {
        let mut reader = Reader::new(community);
        Some(v1::LargeCommunity {
            global_administrator: reader.u32(WHAT).ok()?,
            local_data_1: reader.u32(WHAT).ok()?,
            local_data_2: reader.u32(WHAT).ok()?,
        })
    });
    v1::PathAttributes {
        origin: attributes.origin.map(Into::into),
        as_path: attributes.as_path.as_ref().map(path),
        as4_path: attributes.as4_path.as_ref().map(path),
        next_hop: attributes.next_hop.map(|v| copy(v)),
        med: attributes.med,
        local_pref: attributes.local_pref,
        atomic_aggregate: attributes.atomic_aggregate,
        aggregator: attributes.aggregator.map(aggregator),
        as4_aggregator: attributes.as4_aggregator.map(aggregator),
        communities: members(attributes.communities, u32::from_be_bytes),
        extended_communities: members(attributes.extended_communities, u64::from_be_bytes),
        large_communities: large_communities.collect(),
        originator_id: attributes.originator_id.map(|v| copy(v)),
        cluster_list: attributes.cluster_list.chunks_exact(4).map(copy).collect(),
        only_to_customer: attributes.only_to_customer,
        other: attributes
            .other
            .iter()
            .map(|raw| v1::RawAttribute {
                r#type: raw.kind.into(),
                flags: raw.flags.into(),
                value: copy(raw.value),
            })
            .collect(),
        ..attributes.further.map(|further| *further).unwrap_or_default()
    }
}

/// A list of numbers of `N` octets each.
fn members<const N: usize, T>(list: &[u8], number: impl Fn([u8; N]) -> T) -> Vec<T> {
    list.chunks_exact(N).filter_map(|chunk| chunk.try_into().ok()).map(number).collect()
}

fn path(path: &AsPath<'_>) -> v1::AsPath {
    let segments = path.segments().map(|segment| v1::AsPathSegment {
        // The wire's segment types are those of the event.
        r#type: segment.kind as i32,
        asns: segment.asns().collect(),
    });
    v1::AsPath { segments: segments.collect() }
}

fn aggregator(aggregator: Aggregator) -> v1::Aggregator {
    v1::Aggregator { asn: aggregator.asn, address: copy(&aggregator.address) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ORIGIN, AS_PATH 65551, LOCAL_PREF, a community.
    const INSIDE: &[u8] = &[
        0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, 0, 1, 0, 0x0f, 0x40, 5, 4, 0, 0, 0, 44, 0xc0, 8, 4, 0xfd,
        0xe9, 0, 7,
    ];

    fn set(inside: &[u8]) -> Result<v1::AttrSet, Malformed> {
        decode(&[&[0, 1, 0, 1][..], inside].concat())
    }

    #[test]
    fn the_attributes_inside_are_decoded() {
        let set = set(INSIDE).unwrap();
        assert_eq!(set.origin_asn, 65537);
        let attributes = set.attributes.unwrap();
        assert_eq!(attributes.as_path.unwrap().segments[0].asns, [65551]);
        assert_eq!(attributes.local_pref, Some(44));
        assert_eq!(attributes.communities, [(65001 << 16) | 7]);
    }

    #[test]
    fn a_set_inside_of_a_set_stays_as_it_is() {
        let inner = [0xc0, 128, 8, 0, 0, 0, 1, 0x40, 1, 1, 0];
        let attributes = set(&inner).unwrap().attributes.unwrap();
        assert!(attributes.attr_set.is_none());
        assert_eq!(attributes.other[0].r#type, 128);
    }

    #[test]
    fn a_set_is_as_malformed_as_what_is_inside() {
        assert!(decode(&[0, 0, 1]).is_err());
        assert!(set(&[0x40, 1, 1, 9]).is_err());
        assert!(set(&[0x40, 1, 9, 0]).is_err());
        assert!(set(&[0x40, 6, 1, 0]).is_err());
        assert!(set(&[0x80, 15, 3, 0, 1, 1]).is_err());
    }

    #[test]
    fn the_first_of_a_repeated_attribute_counts_inside_too() {
        let twice = set(&[0x40, 5, 4, 0, 0, 0, 1, 0x40, 5, 4, 0, 0, 0, 2]).unwrap();
        assert_eq!(twice.attributes.unwrap().local_pref, Some(1));
    }
}
