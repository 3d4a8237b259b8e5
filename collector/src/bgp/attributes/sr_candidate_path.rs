//! The sub-TLVs of an SR policy's candidate path in the Tunnel Encapsulation
//! attribute (RFC 9830, 2.4; RFC 9831, 2).

use ribstream_proto::v1;

use super::{
    copy, tlv,
    tunnel_encapsulation::{label_stack_entry, next_sub_tlv},
};
use crate::wire::{Malformed, Reader};

const WHAT: &str = "SR policy sub-TLV";
const SEGMENT: &str = "SR segment";

/// Sub-TLV types (IANA).
mod sub_tlv {
    pub(super) const PREFERENCE: u8 = 12;
    pub(super) const BINDING_SID: u8 = 13;
    pub(super) const EXPLICIT_NULL: u8 = 14;
    pub(super) const PRIORITY: u8 = 15;
    pub(super) const SRV6_BINDING_SID: u8 = 20;
    pub(super) const SEGMENT_LIST: u8 = 128;
    pub(super) const CANDIDATE_PATH_NAME: u8 = 129;
    pub(super) const POLICY_NAME: u8 = 130;
}

/// Of a segment list, what is not a segment (IANA).
const WEIGHT: u8 = 9;

/// Takes a sub-TLV into its field, and tells whether it could: one that is broken,
/// unknown or repeated is to be kept as sent.
pub(super) fn take(kind: u8, value: &[u8], path: &mut v1::SrCandidatePath) -> bool {
    let mut reader = Reader::new(value);
    match kind {
        sub_tlv::PREFERENCE => once(&mut path.preference, number(&mut reader)),
        sub_tlv::BINDING_SID => once(&mut path.binding_sid, binding_sid(reader)),
        sub_tlv::SRV6_BINDING_SID => {
            srv6_binding_sid(reader).map(|sid| path.srv6_binding_sids.push(sid)).is_ok()
        }
        sub_tlv::EXPLICIT_NULL => match *value {
            [_, _, policy] => once(&mut path.explicit_null, Ok(policy.into())),
            _ => false,
        },
        sub_tlv::PRIORITY => match *value {
            [priority, _] => once(&mut path.priority, Ok(priority.into())),
            _ => false,
        },
        sub_tlv::POLICY_NAME => once(&mut path.policy_name, name(reader)),
        sub_tlv::CANDIDATE_PATH_NAME => once(&mut path.candidate_path_name, name(reader)),
        sub_tlv::SEGMENT_LIST => {
            segment_list(reader).map(|list| path.segment_lists.push(list)).is_ok()
        }
        _ => false,
    }
}

fn once<T>(field: &mut Option<T>, value: Result<T, Malformed>) -> bool {
    match value {
        Ok(value) if field.is_none() => {
            *field = Some(value);
            true
        }
        _ => false,
    }
}

/// Flags (1), reserved (1), number (4): Preference and Weight.
fn number(reader: &mut Reader<'_>) -> Result<u32, Malformed> {
    reader.u16(WHAT)?;
    let number = reader.u32(WHAT)?;
    reader.finish(WHAT)?;
    Ok(number)
}

/// Reserved (1), name.
fn name(mut reader: Reader<'_>) -> Result<String, Malformed> {
    reader.u8(WHAT)?;
    Ok(String::from_utf8_lossy(reader.take_rest()).into_owned())
}

/// Flags (1), reserved (1), nothing or a label stack entry (4) or an SRv6 SID (16).
fn binding_sid(mut reader: Reader<'_>) -> Result<v1::BindingSid, Malformed> {
    let mut binding =
        v1::BindingSid { flags: reader.u8(WHAT)?.into(), ..v1::BindingSid::default() };
    reader.u8(WHAT)?;
    match reader.rest().len() {
        0 => {}
        4 => binding.label = Some(label_stack_entry(reader.u32(WHAT)?)),
        16 => binding.sid = copy(reader.take_rest()),
        length => return Err(Malformed::Length { what: WHAT, length }),
    }
    Ok(binding)
}

/// Flags (1), reserved (1), SID (16), perhaps endpoint behavior and structure (8).
fn srv6_binding_sid(mut reader: Reader<'_>) -> Result<v1::BindingSid, Malformed> {
    let flags = reader.u8(WHAT)?;
    reader.u8(WHAT)?;
    let binding = v1::BindingSid {
        flags: flags.into(),
        sid: copy(reader.take(16, WHAT)?),
        endpoint_behavior: endpoint_behavior(&mut reader)?,
        ..v1::BindingSid::default()
    };
    reader.finish(WHAT)?;
    Ok(binding)
}

/// Behavior (2), reserved (2), the lengths of locator block, locator node, function
/// and argument (1 each) (RFC 9830, 2.4.4.2.4).
fn endpoint_behavior(
    reader: &mut Reader<'_>,
) -> Result<Option<v1::Srv6EndpointBehavior>, Malformed> {
    if !reader.any_left() {
        return Ok(None);
    }
    let behavior = reader.u16(SEGMENT)?;
    reader.u16(SEGMENT)?;
    let [block, node, function, argument] = reader.array(SEGMENT)?;
    Ok(Some(v1::Srv6EndpointBehavior {
        behavior: behavior.into(),
        structure: Some(v1::Srv6SidStructure {
            locator_block: block.into(),
            locator_node: node.into(),
            function: function.into(),
            argument: argument.into(),
            ..v1::Srv6SidStructure::default()
        }),
    }))
}

/// Reserved (1), sub-TLVs: weight and segments.
fn segment_list(mut reader: Reader<'_>) -> Result<v1::SegmentList, Malformed> {
    let mut list = v1::SegmentList::default();
    reader.u8(WHAT)?;
    while reader.any_left() {
        let (kind, value) = next_sub_tlv(&mut reader)?;
        if kind == WEIGHT && once(&mut list.weight, number(&mut Reader::new(value))) {
            continue;
        }
        match segment(kind, Reader::new(value)) {
            Ok(segment) => list.segments.push(segment),
            Err(_) => list.other.push(tlv(kind, value)),
        }
    }
    Ok(list)
}

/// What a segment has after its flags, in this order.
struct Form {
    letter: &'static str,
    /// The octet after the flags is the SR algorithm, not reserved.
    algorithm: bool,
    /// An interface identifier goes before each address.
    local_interface: bool,
    /// Octets of the address of the node or of the near end.
    address: usize,
    remote_interface: bool,
    /// Octets of the address of the far end.
    remote_address: usize,
    sid: Sid,
}

enum Sid {
    /// A label stack entry; it may be missing where there is an address.
    Label,
    /// An SRv6 SID, then behavior and structure; likewise.
    Srv6,
}

/// The segment types (RFC 9830, 2.4.4.2; RFC 9831, 2.1 to 2.9) by their numbers.
const fn form(kind: u8) -> Option<Form> {
    let (letter, algorithm, local_interface, address, remote_interface, remote_address) = match kind
    {
        1 => ("A", false, false, 0, false, 0),
        3 => ("C", true, false, 4, false, 0),
        4 => ("D", true, false, 16, false, 0),
        5 => ("E", false, true, 4, false, 0),
        6 => ("F", false, false, 4, false, 4),
        7 => ("G", false, true, 16, true, 16),
        8 => ("H", false, false, 16, false, 16),
        13 => ("B", false, false, 0, false, 0),
        14 => ("I", true, false, 16, false, 0),
        15 => ("J", true, true, 16, true, 16),
        16 => ("K", true, false, 16, false, 16),
        _ => return None,
    };
    let sid = if kind >= 13 { Sid::Srv6 } else { Sid::Label };
    Some(Form {
        letter,
        algorithm,
        local_interface,
        address,
        remote_interface,
        remote_address,
        sid,
    })
}

fn segment(kind: u8, mut reader: Reader<'_>) -> Result<v1::Segment, Malformed> {
    const SID_GIVEN: u32 = 0x20;
    let form = form(kind).ok_or(Malformed::Value { what: SEGMENT, value: kind.into() })?;
    let mut segment = v1::Segment {
        r#type: form.letter.to_owned(),
        flags: reader.u8(SEGMENT)?.into(),
        ..v1::Segment::default()
    };
    let algorithm = reader.u8(SEGMENT)?;
    segment.algorithm = form.algorithm.then_some(algorithm.into());
    if form.local_interface {
        segment.interface = Some(reader.u32(SEGMENT)?);
    }
    segment.address = copy(reader.take(form.address, SEGMENT)?);
    if form.remote_interface {
        segment.remote_interface = Some(reader.u32(SEGMENT)?);
    }
    segment.remote_address = copy(reader.take(form.remote_address, SEGMENT)?);
    let required = form.address == 0;
    match form.sid {
        Sid::Label if required || reader.any_left() => {
            segment.label = Some(label_stack_entry(reader.u32(SEGMENT)?));
        }
        // Behavior and structure, 8 octets, may stand without the SID.
        Sid::Srv6 if required || segment.flags & SID_GIVEN != 0 || reader.rest().len() >= 16 => {
            segment.sid = copy(reader.take(16, SEGMENT)?);
        }
        _ => {}
    }
    if matches!(form.sid, Sid::Srv6) {
        segment.endpoint_behavior = endpoint_behavior(&mut reader)?;
    }
    reader.finish(SEGMENT)?;
    Ok(segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(kind: u8, value: &[u8]) -> v1::SrCandidatePath {
        let mut path = v1::SrCandidatePath::default();
        assert!(take(kind, value, &mut path), "{kind} {value:?}");
        path
    }

    /// A segment of this type with the octets of `parts` one after the other.
    fn segment_of(kind: u8, parts: &[&[u8]]) -> v1::Segment {
        segment(kind, Reader::new(&parts.concat())).unwrap()
    }

    const V4: &[u8] = &[192, 0, 2, 1];
    const V6: &[u8] = &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    const LABEL: &[u8] = &[0x03, 0xe8, 0x11, 0x40];
    const BEHAVIOR: &[u8] = &[0, 5, 0, 0, 32, 16, 16, 0];

    #[test]
    fn each_sub_tlv_has_its_field() {
        assert_eq!(path(12, &[0, 0, 0, 0, 0, 100]).preference, Some(100));
        let binding = path(13, &[&[0x80, 0][..], LABEL].concat()).binding_sid.unwrap();
        assert_eq!((binding.flags, binding.label.unwrap().label), (0x80, 16001));
        assert!(path(13, &[0, 0]).binding_sid.unwrap().label.is_none());
        assert_eq!(path(13, &[&[0, 0][..], V6].concat()).binding_sid.unwrap().sid, V6);
        let srv6 = &path(20, &[&[0, 0][..], V6, BEHAVIOR].concat()).srv6_binding_sids[0];
        assert_eq!(srv6.endpoint_behavior.unwrap().behavior, 5);
        assert_eq!(path(14, &[0, 0, 4]).explicit_null, Some(4));
        assert_eq!(path(15, &[9, 0]).priority, Some(9));
        assert_eq!(path(130, b"\0gold").policy_name.as_deref(), Some("gold"));
        assert_eq!(path(129, b"\0first").candidate_path_name.as_deref(), Some("first"));
    }

    #[test]
    fn a_segment_list_has_its_weight_and_its_segments_in_order() {
        let bytes =
            [&[0, 9, 6, 0, 0, 0, 0, 0, 5, 1, 6, 0, 0][..], LABEL, &[13, 18, 0, 0], V6, &[77, 1, 1]]
                .concat();
        let list = &path(128, &bytes).segment_lists[0];
        assert_eq!(list.weight, Some(5));
        let types: Vec<_> = list.segments.iter().map(|s| s.r#type.as_str()).collect();
        assert_eq!(types, ["A", "B"]);
        assert_eq!(list.other[0].r#type, 77);
    }

    #[test]
    fn every_segment_type_is_read_by_its_layout() {
        let interface = [0, 0, 0, 7];
        let flags = [0x40, 1];
        assert_eq!(segment_of(1, &[&flags, LABEL]).label.unwrap().ttl, 0x40);
        let node = segment_of(3, &[&flags, V4, LABEL]);
        assert_eq!((node.algorithm, &node.address[..], node.label.is_some()), (Some(1), V4, true));
        assert!(segment_of(3, &[&flags, V4]).label.is_none());
        assert_eq!(segment_of(4, &[&flags, V6]).address, V6);
        let v4_interface = segment_of(5, &[&flags, &interface, V4, LABEL]);
        assert_eq!(
            (v4_interface.interface, &v4_interface.address[..], v4_interface.algorithm),
            (Some(7), V4, None)
        );
        let v4_adjacency = segment_of(6, &[&flags, V4, V4]);
        assert_eq!((&v4_adjacency.address[..], &v4_adjacency.remote_address[..]), (V4, V4));
        let v6_interface = segment_of(7, &[&flags, &interface, V6, &interface, V6, LABEL]);
        assert_eq!((v6_interface.interface, v6_interface.remote_interface), (Some(7), Some(7)));
        assert_eq!(segment_of(8, &[&flags, V6, V6]).remote_address, V6);
        let srv6 = segment_of(13, &[&[0x10, 0], V6, BEHAVIOR]);
        assert_eq!((&srv6.sid[..], srv6.endpoint_behavior.unwrap().behavior), (V6, 5));
        let srv6_node = segment_of(14, &[&[0x50, 1], V6, BEHAVIOR]);
        assert!(srv6_node.sid.is_empty() && srv6_node.endpoint_behavior.is_some());
        let srv6_interface =
            segment_of(15, &[&[0x30, 1], &interface, V6, &interface, V6, V6, BEHAVIOR]);
        assert_eq!((&srv6_interface.sid[..], srv6_interface.remote_interface), (V6, Some(7)));
        let srv6_adjacency = segment_of(16, &[&[0x20, 1], V6, V6, V6]);
        assert_eq!((srv6_adjacency.r#type.as_str(), &srv6_adjacency.sid[..]), ("K", V6));
    }

    #[test]
    fn what_is_broken_is_refused() {
        let mut path = v1::SrCandidatePath::default();
        for (kind, value) in
            [(12, &[0, 0, 1][..]), (13, &[0, 0, 1]), (14, &[0]), (15, &[0]), (130, &[]), (99, &[])]
        {
            assert!(!take(kind, value, &mut path), "{kind}");
        }
        assert_eq!(path, v1::SrCandidatePath::default());
        assert!(take(15, &[1, 0], &mut path));
        assert!(!take(15, &[2, 0], &mut path));
        assert_eq!(path.priority, Some(1));
    }
}
