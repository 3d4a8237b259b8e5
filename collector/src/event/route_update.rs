//! A Route Monitoring message as `ribstream.v1.RouteUpdate`.

use ribstream_proto::{family::AfiSafi, v1};

use super::Writer;
use crate::{
    bgp::{
        Aggregator, AsPath, AsWidth, AttributeError, Attributes, NlriField, Nlris, PathIds, Prefix,
        Update, Verdict,
    },
    bmp::{RouteTlv, View},
};

/// Field number of `route_update` in `ribstream.v1.Event`.
pub const BODY: u32 = 16;

/// Field numbers of `ribstream.v1.RouteUpdate`.
mod field {
    pub(super) const VIEW: u32 = 1;
    pub(super) const ATTRIBUTES: u32 = 2;
    pub(super) const ANNOUNCED: u32 = 3;
    pub(super) const WITHDRAWN: u32 = 4;
    pub(super) const END_OF_RIB: u32 = 5;
    pub(super) const INITIAL_DUMP: u32 = 6;
    pub(super) const FILTERED: u32 = 7;
    pub(super) const ASN_WIDTH: u32 = 8;
    pub(super) const OVERRULED: u32 = 9;
    pub(super) const ATTRIBUTE_ERRORS: u32 = 10;
    pub(super) const MORE: u32 = 11;
    pub(super) const TLVS: u32 = 12;
    pub(super) const DUMP_OVER: u32 = 13;
}

/// Field numbers of `ribstream.v1.PathAttributes`.
mod attribute_field {
    pub(super) const ORIGIN: u32 = 1;
    pub(super) const AS_PATH: u32 = 2;
    pub(super) const AS4_PATH: u32 = 3;
    pub(super) const NEXT_HOP: u32 = 4;
    pub(super) const MED: u32 = 5;
    pub(super) const LOCAL_PREF: u32 = 6;
    pub(super) const ATOMIC_AGGREGATE: u32 = 7;
    pub(super) const AGGREGATOR: u32 = 8;
    pub(super) const AS4_AGGREGATOR: u32 = 9;
    pub(super) const COMMUNITIES: u32 = 10;
    pub(super) const EXTENDED_COMMUNITIES: u32 = 11;
    pub(super) const LARGE_COMMUNITIES: u32 = 12;
    pub(super) const ORIGINATOR_ID: u32 = 13;
    pub(super) const CLUSTER_LIST: u32 = 14;
    pub(super) const ONLY_TO_CUSTOMER: u32 = 15;
    pub(super) const OTHER: u32 = 16;
}

/// Field numbers of `ribstream.v1.Routes`.
mod routes_field {
    pub(super) const AFI: u32 = 1;
    pub(super) const SAFI: u32 = 2;
    pub(super) const NEXT_HOP: u32 = 3;
    pub(super) const LINK_LOCAL_NEXT_HOP: u32 = 4;
    pub(super) const PREFIXES: u32 = 5;
    pub(super) const UNDECODED: u32 = 6;
    pub(super) const EVPN: u32 = 7;
    pub(super) const OTHER: u32 = 8;
}

/// The AS number that stands for one that 2 octets cannot hold (RFC 6793, 9).
const AS_TRANS: u32 = 23456;

/// What the session knows of an UPDATE beside its bytes.
#[derive(Clone, Debug)]
pub struct Context {
    /// Whose table.
    pub view: View,
    /// The F flag.
    pub filtered: bool,
    /// The width of AS numbers that the message's own flag claims.
    pub claimed_as_width: AsWidth,
    /// Whether any NLRI field was read against the OPENs.
    pub path_ids_overruled: Option<PathIds>,
    /// The routes restate a table.
    pub initial_dump: bool,
    /// The tables that the UPDATE shows to have been dumped.
    pub dump_over: Vec<AfiSafi>,
}

/// Writes the body for one Route Monitoring message: its first UPDATE, and the
/// further ones, if any, inside of it.
pub fn write(writer: &mut Writer, updates: &[(Context, Update<'_>)], tlvs: &[RouteTlv<'_>]) {
    let Some(((context, first), more)) = updates.split_first() else { return };
    writer.long_message(BODY, |w| {
        write_update(w, context, first);
        for (context, update) in more {
            w.message(field::MORE, |w| {
                write_update(w, context, update);
                write_families(w, field::DUMP_OVER, &context.dump_over);
            });
        }
        for tlv in tlvs {
            w.message(field::TLVS, |w| write_tlv(w, tlv));
        }
        write_families(w, field::DUMP_OVER, &context.dump_over);
    });
}

fn write_tlv(w: &mut Writer, tlv: &RouteTlv<'_>) {
    w.uint(1, tlv.kind.into());
    if let Some(index) = tlv.index {
        w.optional_uint(2, index.into());
    }
    if let Some(enterprise) = tlv.enterprise {
        w.optional_uint(4, enterprise.into());
    }
    match tlv.path_marking() {
        Some((status, reason)) => w.message(3, |w| {
            w.uint(1, status.into());
            if let Some(reason) = reason {
                w.optional_uint(2, reason.into());
            }
        }),
        None => w.bytes(15, tlv.value),
    }
}

/// Writes one UPDATE: the fields of a `RouteUpdate`, but for what it says of dumps.
#[inline]
pub fn write_update(w: &mut Writer, context: &Context, update: &Update<'_>) {
    w.uint(field::VIEW, number(v1::RibView::from(context.view)));
    if !update.announced.is_empty() || update.attributes.treat_as_withdraw() {
        w.message(field::ATTRIBUTES, |w| write_attributes(w, &update.attributes));
    }
    let virtual_networks = update.attributes.has_virtual_networks();
    for routes in &update.announced {
        w.message(field::ANNOUNCED, |w| write_routes(w, routes, Some(virtual_networks)));
    }
    for routes in &update.withdrawn {
        w.message(field::WITHDRAWN, |w| write_routes(w, routes, None));
    }
    write_families(w, field::END_OF_RIB, update.end_of_rib.as_slice());
    w.uint(field::INITIAL_DUMP, context.initial_dump.into());
    w.uint(field::FILTERED, context.filtered.into());
    let width = update.attributes.as_path.filter(|path| !path.is_empty()).map(|path| path.width());
    if let Some(width) = width {
        w.uint(field::ASN_WIDTH, width.octets().into());
    }
    let overruled = [
        width.filter(|width| *width != context.claimed_as_width).map(|width| match width {
            AsWidth::Two => v1::Overruled::AsnWidth2,
            AsWidth::Four => v1::Overruled::AsnWidth4,
        }),
        context.path_ids_overruled.map(|path_ids| match path_ids {
            PathIds::Present => v1::Overruled::PathIdsPresent,
            PathIds::Absent => v1::Overruled::PathIdsAbsent,
        }),
    ];
    w.packed_uints(
        field::OVERRULED,
        #[allow(clippy::cast_sign_loss, reason = "enumerations have no negative numbers")]
        overruled.into_iter().flatten().map(|overruled| overruled as u32),
    );
    for error in &update.attributes.errors {
        w.message(field::ATTRIBUTE_ERRORS, |w| write_error(w, error));
    }
}

#[inline]
fn write_families(w: &mut Writer, field: u32, families: &[AfiSafi]) {
    for family in families {
        write_family(w, field, *family);
    }
}

/// Few messages have one.
#[cold]
fn write_family(w: &mut Writer, field: u32, family: AfiSafi) {
    w.message(field, |w| {
        w.uint(1, family.afi.into());
        w.uint(2, family.safi.into());
    });
}

#[inline]
fn write_attributes(w: &mut Writer, attributes: &Attributes<'_>) {
    if let Some(origin) = attributes.origin {
        w.optional_uint(attribute_field::ORIGIN, origin.into());
    }
    write_as_paths(w, attributes);
    if let Some(next_hop) = attributes.next_hop {
        w.optional_bytes(attribute_field::NEXT_HOP, next_hop);
    }
    if let Some(med) = attributes.med {
        w.optional_uint(attribute_field::MED, med.into());
    }
    if let Some(local_pref) = attributes.local_pref {
        w.optional_uint(attribute_field::LOCAL_PREF, local_pref.into());
    }
    w.uint(attribute_field::ATOMIC_AGGREGATE, attributes.atomic_aggregate.into());
    if let Some(aggregator) = attributes.aggregator {
        let four = attributes.as4_aggregator.filter(|_| aggregator.asn == AS_TRANS);
        write_aggregator(w, attribute_field::AGGREGATOR, four.unwrap_or(aggregator));
    }
    if let Some(aggregator) = attributes.as4_aggregator {
        write_aggregator(w, attribute_field::AS4_AGGREGATOR, aggregator);
    }
    w.packed_fixed32(attribute_field::COMMUNITIES, attributes.communities);
    w.packed_fixed64(attribute_field::EXTENDED_COMMUNITIES, attributes.extended_communities);
    let (parts, _) = attributes.large_communities.as_chunks::<4>();
    for community in parts.as_chunks::<3>().0 {
        w.message(attribute_field::LARGE_COMMUNITIES, |w| {
            let [global, first, second] = community.map(u32::from_be_bytes);
            w.uint(1, global.into());
            w.uint(2, first.into());
            w.uint(3, second.into());
        });
    }
    if let Some(id) = attributes.originator_id {
        w.optional_bytes(attribute_field::ORIGINATOR_ID, id);
    }
    for id in attributes.cluster_list.chunks_exact(4) {
        w.optional_bytes(attribute_field::CLUSTER_LIST, id);
    }
    if let Some(asn) = attributes.only_to_customer {
        w.optional_uint(attribute_field::ONLY_TO_CUSTOMER, asn.into());
    }
    if let Some(further) = &attributes.further {
        w.fields(&**further);
    }
    for raw in &attributes.other {
        w.message(attribute_field::OTHER, |w| {
            w.uint(1, raw.kind.into());
            w.uint(2, raw.flags.into());
            w.bytes(3, raw.value);
        });
    }
}

/// AS_PATH, merged with AS4_PATH where it is 2 octets wide and the two fit (RFC
/// 6793, 4.2.3), and AS4_PATH as sent.
fn write_as_paths(w: &mut Writer, attributes: &Attributes<'_>) {
    if let Some(path) = attributes.as_path {
        // An AGGREGATOR of a true AS beside an AS4_AGGREGATOR: an old speaker has
        // aggregated anew, and the AS4 attributes are stale.
        let stale = attributes.as4_aggregator.is_some()
            && attributes.aggregator.is_some_and(|aggregator| aggregator.asn != AS_TRANS);
        let merged = attributes
            .as4_path
            .filter(|_| path.width() == AsWidth::Two && !stale)
            .and_then(|as4_path| path.merged_with(&as4_path));
        match merged {
            Some(segments) => w.message(attribute_field::AS_PATH, |w| {
                for (kind, asns) in segments {
                    write_segment(w, kind as u64, asns.into_iter());
                }
            }),
            None => write_path(w, attribute_field::AS_PATH, &path),
        }
    }
    if let Some(path) = attributes.as4_path {
        write_path(w, attribute_field::AS4_PATH, &path);
    }
}

#[inline]
fn write_path(w: &mut Writer, field: u32, path: &AsPath<'_>) {
    w.message(field, |w| {
        for segment in path.segments() {
            write_segment(w, segment.kind as u64, segment.asns());
        }
    });
}

/// The wire's segment types are those of `ribstream.v1.AsPathSegmentType`.
#[inline]
fn write_segment(w: &mut Writer, kind: u64, asns: impl Iterator<Item = u32>) {
    w.message(1, |w| {
        w.uint(1, kind);
        w.packed_uints(2, asns);
    });
}

fn write_aggregator(w: &mut Writer, field: u32, aggregator: Aggregator) {
    w.message(field, |w| {
        w.uint(1, aggregator.asn.into());
        w.bytes(2, &aggregator.address);
    });
}

/// `virtual_networks`: what the labels of announced EVPN routes are; `None` for
/// withdrawn ones.
#[inline]
fn write_routes(w: &mut Writer, routes: &NlriField<'_>, virtual_networks: Option<bool>) {
    w.uint(routes_field::AFI, routes.family.afi.into());
    w.uint(routes_field::SAFI, routes.family.safi.into());
    let (next_hop, link_local) = next_hops(routes.next_hop);
    w.bytes(routes_field::NEXT_HOP, next_hop);
    w.bytes(routes_field::LINK_LOCAL_NEXT_HOP, link_local);
    match routes.nlris() {
        Nlris::Prefixes(prefixes) => {
            let ipv4 = routes.family.afi == 1;
            for prefix in prefixes {
                write_prefix(w, prefix, ipv4);
            }
        }
        Nlris::Typed(nlris) => nlris.for_each(|nlri| {
            if nlri.is_evpn() {
                w.prost(routes_field::EVPN, &nlri.evpn(virtual_networks));
            } else {
                w.prost(routes_field::OTHER, &nlri.other());
            }
        }),
        Nlris::Unknown(bytes) => w.bytes(routes_field::UNDECODED, bytes),
    }
}

/// Writes one prefix. By far the most frequent field: its usual form has a fixed
/// size, and goes out in one piece.
#[inline]
fn write_prefix(w: &mut Writer, prefix: Prefix<'_>, ipv4: bool) {
    let Prefix { address, length, path_id, distinguisher, labels } = prefix;
    let short = address.first_chunk::<4>().filter(|_| ipv4);
    let plain = path_id.is_none() && labels.is_empty() && distinguisher.is_empty();
    match short {
        Some(address) if plain => w.nested_prefix(routes_field::PREFIXES, 1, *address, length),
        None if plain => w.nested_prefix(routes_field::PREFIXES, 1, address, length),
        Some(address) => write_full_prefix(w, address, prefix),
        None => write_full_prefix(w, &address, prefix),
    }
}

#[inline(never)]
fn write_full_prefix(w: &mut Writer, address: &[u8], prefix: Prefix<'_>) {
    w.message(routes_field::PREFIXES, |w| {
        w.prefix(1, address, prefix.length);
        if let Some(path_id) = prefix.path_id {
            w.optional_uint(2, path_id.into());
        }
        w.bytes(3, prefix.distinguisher);
        // The low four bits of a label field are EXP and bottom-of-stack.
        let labels = prefix.labels.chunks_exact(3);
        w.packed_uints(
            4,
            labels.map(|label| label.iter().fold(0, |n, &octet| n << 8 | u32::from(octet)) >> 4),
        );
    });
}

/// The next hop and, of a pair, the link-local one (RFC 2545, 3). That of a VPN
/// route is preceded by a route distinguisher of zero (RFC 4364, 4.3.2), which
/// says nothing.
fn next_hops(bytes: &[u8]) -> (&[u8], &[u8]) {
    const NO_DISTINGUISHER: &[u8] = &[0; 8];
    match (bytes.len(), bytes.strip_prefix(NO_DISTINGUISHER)) {
        (32, _) => bytes.split_at(16),
        (12 | 24, Some(next_hop)) => (next_hop, &[]),
        (48, Some(pair)) => match pair.split_first_chunk::<16>() {
            Some((global, local)) => {
                (global, local.strip_prefix(NO_DISTINGUISHER).unwrap_or(local))
            }
            None => (bytes, &[]),
        },
        _ => (bytes, &[]),
    }
}

fn write_error(w: &mut Writer, error: &AttributeError<'_>) {
    let verdict = match error.verdict {
        Verdict::Discard => v1::AttributeVerdict::Discard,
        Verdict::TreatAsWithdraw => v1::AttributeVerdict::TreatAsWithdraw,
    };
    w.uint(1, error.kind.into());
    w.uint(2, number(verdict));
    w.bytes(3, error.reason.to_string().as_bytes());
    w.bytes(4, error.value);
}

#[allow(clippy::cast_sign_loss, reason = "enumerations have no negative numbers")]
fn number(value: impl Into<i32>) -> u64 {
    value.into() as u64
}
