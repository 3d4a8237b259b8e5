//! BGP Prefix-SID (RFC 8669, 3) and SRv6 services (RFC 9252, 2 and 3).
//!
//! ```text
//! | Type (1) | Length (2) | Value |  ...
//! ```

use ribstream_proto::{registry, v1};

use super::{Verdict, copy, tlv, u24};
use crate::wire::{Malformed, Reader};

const WHAT: &str = "prefix SID";
const SERVICE: &str = "SRv6 service";
const SID: &str = "SRv6 SID information";

/// TLV types (IANA, BGP Prefix-SID TLV Types).
mod kind {
    pub(super) const LABEL_INDEX: u8 = 1;
    pub(super) const ORIGINATOR_SRGB: u8 = 3;
    pub(super) const SRV6_L3_SERVICE: u8 = 5;
    pub(super) const SRV6_L2_SERVICE: u8 = 6;
}

/// The only sub-TLV of an SRv6 service, and the only one of that.
const SID_INFORMATION: u8 = 1;
const SID_STRUCTURE: u8 = 1;

/// A broken attribute is discarded (RFC 8669, 6), unless it is an SRv6 service that
/// is broken: without its SID the route would lead elsewhere (RFC 9252, 7). The
/// graver counts where both are broken (RFC 7606, 3, h).
pub(super) fn decode(value: &[u8]) -> Result<v1::PrefixSid, (Verdict, Malformed)> {
    let mut sid = v1::PrefixSid::default();
    let mut broken = None;
    let mut reader = Reader::new(value);
    while let Some(&kind) = reader.rest().first() {
        let taken = next_tlv(&mut reader, WHAT).and_then(|(_, value)| take(kind, value, &mut sid));
        match (kind, taken) {
            (_, Ok(())) => {}
            (kind::SRV6_L3_SERVICE | kind::SRV6_L2_SERVICE, Err(reason)) => {
                return Err((Verdict::TreatAsWithdraw, reason));
            }
            (_, Err(reason)) => broken = broken.or(Some(reason)),
        }
    }
    broken.map_or(Ok(sid), |reason| Err((Verdict::Discard, reason)))
}

/// Takes the first TLV of its type into its field.
fn take(kind: u8, value: Reader<'_>, into: &mut v1::PrefixSid) -> Result<(), Malformed> {
    match kind {
        kind::SRV6_L3_SERVICE if into.srv6_l3_service.is_none() => {
            into.srv6_l3_service = Some(srv6_service(value)?);
        }
        kind::SRV6_L2_SERVICE if into.srv6_l2_service.is_none() => {
            into.srv6_l2_service = Some(srv6_service(value)?);
        }
        kind::LABEL_INDEX if into.label_index.is_none() => label_index(value, into)?,
        kind::ORIGINATOR_SRGB if into.srgb.is_empty() => originator_srgb(value, into)?,
        _ => into.other.push(tlv(kind, value.rest())),
    }
    Ok(())
}

/// The next TLV. After one that runs past the bytes there is none.
fn next_tlv<'a>(
    reader: &mut Reader<'a>,
    what: &'static str,
) -> Result<(u8, Reader<'a>), Malformed> {
    let mut rest = Reader::new(reader.take_rest());
    let kind = rest.u8(what)?;
    let length = rest.u16(what)?;
    let value = rest.sub(length.into(), what)?;
    *reader = rest;
    Ok((kind, value))
}

/// Reserved (1), flags (2), index (4).
fn label_index(mut value: Reader<'_>, into: &mut v1::PrefixSid) -> Result<(), Malformed> {
    const WHAT: &str = "label index";
    value.u8(WHAT)?;
    into.label_index_flags = value.u16(WHAT)?.into();
    into.label_index = Some(value.u32(WHAT)?);
    value.finish(WHAT)
}

/// Flags (2), then ranges: base (3), size (3).
fn originator_srgb(mut value: Reader<'_>, into: &mut v1::PrefixSid) -> Result<(), Malformed> {
    const WHAT: &str = "originator SRGB";
    into.srgb_flags = value.u16(WHAT)?.into();
    if !value.any_left() {
        return Err(Malformed::Length { what: WHAT, length: 2 });
    }
    while value.any_left() {
        into.srgb
            .push(v1::SrgbRange { base: u24(&mut value, WHAT)?, size: u24(&mut value, WHAT)? });
    }
    Ok(())
}

/// Reserved (1), sub-TLVs.
fn srv6_service(mut value: Reader<'_>) -> Result<v1::Srv6Service, Malformed> {
    let mut service = v1::Srv6Service::default();
    value.u8(SERVICE)?;
    while value.any_left() {
        let (kind, value) = next_tlv(&mut value, SERVICE)?;
        if kind == SID_INFORMATION {
            service.sids.push(sid_information(value)?);
        } else {
            service.other.push(tlv(kind, value.rest()));
        }
    }
    Ok(service)
}

/// Reserved (1), SID (16), flags (1), endpoint behavior (2), reserved (1), sub-sub-TLVs.
fn sid_information(mut value: Reader<'_>) -> Result<v1::Srv6SidInformation, Malformed> {
    value.u8(SID)?;
    let sid = copy(value.take(16, SID)?);
    let flags = value.u8(SID)?;
    let behavior = value.u16(SID)?;
    value.u8(SID)?;
    let mut information = v1::Srv6SidInformation {
        sid,
        flags: flags.into(),
        endpoint_behavior: behavior.into(),
        endpoint_behavior_name: registry::srv6_endpoint_behavior(behavior).to_owned(),
        ..v1::Srv6SidInformation::default()
    };
    while value.any_left() {
        let (kind, value) = next_tlv(&mut value, SID)?;
        match value.rest() {
            [block, node, function, argument, length, offset]
                if kind == SID_STRUCTURE && information.structure.is_none() =>
            {
                information.structure = Some(v1::Srv6SidStructure {
                    locator_block: (*block).into(),
                    locator_node: (*node).into(),
                    function: (*function).into(),
                    argument: (*argument).into(),
                    transposition_length: (*length).into(),
                    transposition_offset: (*offset).into(),
                });
            }
            rest => information.other.push(tlv(kind, rest)),
        }
    }
    Ok(information)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An SRv6 L3 service: End.DT4 with its structure.
    const L3_SERVICE: &[u8] = &[
        5, 0, 34, 0, 1, 0, 30, 0, 0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0x13, 0, 1, 0, 6, 32, 16, 16, 0, 16, 48,
    ];

    #[test]
    fn label_index_and_srgb_are_read() {
        let bytes = [
            1, 0, 7, 0, 0, 0, 0, 0, 1, 0x2c, 3, 0, 14, 0, 0, 0x0c, 0x35, 0, 0, 0x10, 0, 0x0f, 0x42,
            0x40, 0, 0x13, 0x88,
        ];
        let sid = decode(&bytes).unwrap();
        assert_eq!(sid.label_index, Some(300));
        let ranges: Vec<_> = sid.srgb.iter().map(|r| (r.base, r.size)).collect();
        assert_eq!(ranges, [(800_000, 4096), (1_000_000, 5000)]);
    }

    #[test]
    fn an_srv6_service_has_its_sid_behavior_and_structure() {
        let sid = decode(L3_SERVICE).unwrap();
        let information = &sid.srv6_l3_service.unwrap().sids[0];
        assert_eq!(information.endpoint_behavior_name, "End.DT4");
        let structure = information.structure.unwrap();
        assert_eq!((structure.locator_block, structure.transposition_offset), (32, 48));
    }

    #[test]
    fn a_broken_service_is_graver_than_a_broken_label_index() {
        let mut cut = L3_SERVICE.to_vec();
        cut[6] = 31;
        let label_index = [1, 0, 6, 0, 0, 0, 0, 0, 1];
        let verdict = |bytes: &[u8]| decode(bytes).unwrap_err().0;
        assert_eq!(verdict(&cut), Verdict::TreatAsWithdraw);
        assert_eq!(verdict(&label_index), Verdict::Discard);
        assert_eq!(verdict(&[&label_index[..], &cut].concat()), Verdict::TreatAsWithdraw);
    }

    #[test]
    fn a_tlv_that_runs_past_the_attribute_is_as_grave_as_its_type() {
        assert_eq!(decode(&L3_SERVICE[..36]).unwrap_err().0, Verdict::TreatAsWithdraw);
        // What an unknown TLV overruns is not read as TLVs.
        assert_eq!(decode(&[2, 0, 9, 5, 0, 0]).unwrap_err().0, Verdict::Discard);
    }

    #[test]
    fn a_tlv_that_is_not_known_is_kept() {
        assert_eq!(decode(&[2, 0, 1, 9]).unwrap().other[0].value, [9][..]);
    }
}
