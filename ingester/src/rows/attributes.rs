//! Path attributes as columns and as text.

use std::net::IpAddr;

use ribstream_proto::{
    record, text,
    v1::{AsPath, AsPathSegmentType, Origin, PathAttributes, RouteTlv},
};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    copy::{PutColumn, PutOptional, put_decimal},
    json,
};

/// How many columns [`put`] and [`put_absent`] fill: origin to further_attributes.
pub(super) const COLUMN_COUNT: i16 = 16;

/// The columns of a route that has attributes.
pub(super) fn put(row: &mut Vec<u8>, attributes: &PathAttributes, tlvs: &[RouteTlv]) {
    match attributes.origin.map(Origin::try_from) {
        Some(Ok(Origin::Igp)) => row.put_raw(b"igp"),
        Some(Ok(Origin::Egp)) => row.put_raw(b"egp"),
        Some(Ok(Origin::Incomplete)) => row.put_raw(b"incomplete"),
        Some(Err(_)) | None => row.put_null(),
    }
    match &attributes.as_path {
        Some(path) => {
            let at = row.len();
            row.put_i32(0);
            row.truncate(at + 4);
            put_as_path(row, path);
            let length = u32::try_from(row.len() - at - 4).unwrap_or(u32::MAX);
            row[at..at + 4].copy_from_slice(&length.to_be_bytes());
        }
        None => row.put_null(),
    }
    row.put_opt_i64(attributes.as_path.as_ref().and_then(origin_as));
    row.put_opt_i64(attributes.med.map(i64::from));
    row.put_opt_i64(attributes.local_pref.map(i64::from));
    row.put_bool(attributes.atomic_aggregate);
    let aggregator = attributes.aggregator.as_ref();
    row.put_opt_i64(aggregator.map(|aggregator| i64::from(aggregator.asn)));
    row.put_opt_inet(aggregator.and_then(|aggregator| record::ip(&aggregator.address)));
    row.put_text_array(&attributes.communities, |text, community| {
        put_decimal(text, community >> 16);
        text.push(b':');
        put_decimal(text, community & 0xffff);
    });
    let extended: Vec<String> = attributes
        .extended_communities
        .iter()
        .map(|community| text::extended_community(*community))
        .chain(
            attributes
                .ipv6_extended_communities
                .iter()
                .map(|community| text::ipv6_extended_community(community)),
        )
        .collect();
    row.put_text_array(&extended, |text, community| text.extend_from_slice(community.as_bytes()));
    row.put_text_array(&attributes.large_communities, |text, community| {
        put_decimal(text, community.global_administrator);
        text.push(b':');
        put_decimal(text, community.local_data_1);
        text.push(b':');
        put_decimal(text, community.local_data_2);
    });
    row.put_opt_inet(attributes.originator_id.as_ref().and_then(|id| record::ip(id)));
    let clusters: Vec<IpAddr> =
        attributes.cluster_list.iter().filter_map(|id| record::ip(id)).collect();
    row.put_inet_array(&clusters);
    row.put_opt_i64(attributes.only_to_customer.map(i64::from));
    let other = (!attributes.other.is_empty())
        .then(|| serde_json::to_value(&attributes.other).ok())
        .flatten();
    row.put_opt_json(other.as_ref().map(json::encode).as_deref());
    put_further(row, Some(attributes), tlvs);
}

/// The columns of a route that has none.
pub(super) fn put_absent(row: &mut Vec<u8>, tlvs: &[RouteTlv]) {
    for _ in 1..COLUMN_COUNT {
        row.put_null();
    }
    put_further(row, None, tlvs);
}

/// `further_attributes`: what is decoded and has no column of its own.
fn put_further(row: &mut Vec<u8>, attributes: Option<&PathAttributes>, tlvs: &[RouteTlv]) {
    fn put<T: Serialize>(object: &mut Map<String, Value>, name: &str, value: Option<&T>) {
        if let Some(value) = value.and_then(|value| serde_json::to_value(value).ok()) {
            object.insert(name.to_owned(), value);
        }
    }
    let mut object = Map::new();
    if let Some(attributes) = attributes {
        put(&mut object, "pmsi_tunnel", attributes.pmsi_tunnel.as_ref());
        put(&mut object, "tunnel_encapsulation", attributes.tunnel_encapsulation.as_ref());
        put(&mut object, "aigp", attributes.aigp.as_ref());
        put(&mut object, "prefix_sid", attributes.prefix_sid.as_ref());
        put(&mut object, "attr_set", attributes.attr_set.as_ref());
        put(&mut object, "bfd_discriminator", attributes.bfd_discriminator.as_ref());
        put(&mut object, "domain_path", attributes.domain_path.as_ref());
        put(&mut object, "link_state", attributes.link_state.as_ref());
    }
    put(&mut object, "bmp_tlvs", (!tlvs.is_empty()).then_some(&tlvs));
    let object = (!object.is_empty()).then_some(Value::Object(object));
    row.put_opt_json(object.as_ref().map(json::encode).as_deref());
}

/// An AS path as routers print it: `65001 65002 {65003,65004}`, confederation
/// sequences in `()`, confederation sets in `[]`.
pub(super) fn put_as_path(text: &mut Vec<u8>, path: &AsPath) {
    for (index, segment) in path.segments.iter().enumerate() {
        if index > 0 {
            text.push(b' ');
        }
        let (open, separator, close): (&[u8], u8, &[u8]) =
            match AsPathSegmentType::try_from(segment.r#type) {
                Ok(AsPathSegmentType::AsSequence) => (b"", b' ', b""),
                Ok(AsPathSegmentType::AsSet) => (b"{", b',', b"}"),
                Ok(AsPathSegmentType::AsConfedSequence) => (b"(", b' ', b")"),
                Ok(AsPathSegmentType::AsConfedSet) => (b"[", b',', b"]"),
                Ok(AsPathSegmentType::Unspecified) | Err(_) => (b"<", b' ', b">"),
            };
        text.extend_from_slice(open);
        for (index, asn) in segment.asns.iter().enumerate() {
            if index > 0 {
                text.push(separator);
            }
            put_decimal(text, *asn);
        }
        text.extend_from_slice(close);
    }
}

/// The AS that originated the route, where the path tells.
fn origin_as(path: &AsPath) -> Option<i64> {
    let last = path.segments.last()?;
    if last.r#type == AsPathSegmentType::AsSequence as i32 {
        last.asns.last().copied().map(i64::from)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use ribstream_proto::v1::AsPathSegment;

    use super::*;

    fn path(segments: &[(AsPathSegmentType, &[u32])]) -> AsPath {
        AsPath {
            segments: segments
                .iter()
                .map(|(r#type, asns)| AsPathSegment { r#type: *r#type as i32, asns: asns.to_vec() })
                .collect(),
        }
    }

    fn text(path: &AsPath) -> String {
        let mut text = Vec::new();
        put_as_path(&mut text, path);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn sets_and_confederations_are_kept_apart_in_the_path() {
        use AsPathSegmentType::{AsConfedSequence, AsConfedSet, AsSequence, AsSet};
        let path = path(&[
            (AsConfedSequence, &[64512, 64513]),
            (AsConfedSet, &[64514, 64515]),
            (AsSequence, &[65001, 4_200_000_000]),
            (AsSet, &[65003, 65004]),
        ]);
        assert_eq!(text(&path), "(64512 64513) [64514,64515] 65001 4200000000 {65003,65004}");
        assert_eq!(origin_as(&path), None);
    }

    #[test]
    fn the_origin_is_the_last_of_a_sequence_and_an_empty_path_has_none() {
        let sequence = path(&[(AsPathSegmentType::AsSequence, &[65001, 65002])]);
        assert_eq!(origin_as(&sequence), Some(65002));
        assert_eq!(origin_as(&path(&[])), None);
        assert_eq!(text(&path(&[])), "");
    }
}
