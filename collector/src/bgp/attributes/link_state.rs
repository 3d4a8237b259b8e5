//! The BGP-LS attribute (RFC 9552, 5.3), TLV by TLV.
//!
//! A TLV's type says what it is of: [`node`], [`link`], [`prefix`] or [`srv6`]. A
//! list of TLVs that does not end where it should breaks the whole attribute, also
//! inside of a TLV that is known (RFC 9552, 8.2.2); any other broken value inside of a
//! whole TLV stays as sent.

mod flexible_algorithm;
mod link;
mod node;
mod prefix;
mod segment;
mod srv6;

use ribstream_proto::v1;

use crate::{
    bgp::link_state::{self as tlv, Tlv},
    wire::Malformed,
};

/// How deep attributes may be inside of others. The members of a bundle have
/// attributes, some of them for an application: there is no reason to go deeper,
/// and a limit keeps hostile input off the stack.
const NESTING: u8 = 2;

/// The TLVs inside of another.
struct Inside {
    /// How deep attributes may be there.
    nesting: u8,
    /// Why they do not end where the TLV does, if so.
    overrun: Option<Malformed>,
}

impl Inside {
    /// What was read of them, if they do.
    fn whole<T>(&mut self, read: Result<T, Malformed>) -> Option<T> {
        read.map_err(|reason| self.overrun = Some(reason)).ok()
    }

    /// Reads them as attributes of their own.
    fn attributes(&mut self, value: &[u8]) -> Option<v1::LinkStateAttribute> {
        self.whole(read(value, self.nesting.checked_sub(1)?))
    }
}

/// Decodes the attribute.
pub(super) fn parse(value: &[u8]) -> Result<v1::LinkStateAttribute, Malformed> {
    read(value, NESTING)
}

fn read(value: &[u8], nesting: u8) -> Result<v1::LinkStateAttribute, Malformed> {
    let mut attribute = v1::LinkStateAttribute::default();
    let mut inside = Inside { nesting, overrun: None };
    let other = tlv::each(value, |tlv| take(tlv, &mut inside, &mut attribute))?;
    attribute.other = other;
    inside.overrun.map_or(Ok(attribute), Err)
}

/// `None` where the TLV is to be kept as sent.
fn take(tlv: Tlv<'_>, inside: &mut Inside, into: &mut v1::LinkStateAttribute) -> Option<()> {
    node::take(tlv, inside, into)
        .or_else(|| link::take(tlv, inside, into))
        .or_else(|| prefix::take(tlv, inside, into))
        .or_else(|| srv6::take(tlv, inside, into))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(super) fn tlv(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len()).unwrap();
        [&kind.to_be_bytes()[..], &length.to_be_bytes(), value].concat()
    }

    /// What becomes of one TLV, of which nothing may be left over.
    pub(super) fn of(kind: u16, value: &[u8]) -> v1::LinkStateAttribute {
        let attribute = parse(&tlv(kind, value)).unwrap();
        assert_eq!(attribute.other, [], "TLV {kind}");
        attribute
    }

    /// Every TLV that is known, with the shortest value that it may have.
    const KNOWN: &[(u16, usize)] = &[
        (258, 8),
        (263, 2),
        (266, 2),
        (267, 2),
        (1024, 1),
        (1025, 1),
        (1026, 1),
        (1027, 1),
        (1028, 4),
        (1029, 16),
        (1030, 4),
        (1031, 16),
        (1032, 4),
        (1034, 2),
        (1035, 1),
        (1036, 2),
        (1037, 1),
        (1038, 4),
        (1039, 4),
        (1044, 8),
        (1088, 4),
        (1089, 4),
        (1090, 4),
        (1091, 32),
        (1092, 3),
        (1093, 2),
        (1094, 1),
        (1095, 1),
        (1096, 4),
        (1097, 1),
        (1098, 1),
        (1099, 7),
        (1100, 11),
        (1101, 7),
        (1102, 7),
        (1103, 7),
        (1106, 22),
        (1107, 28),
        (1108, 26),
        (1114, 4),
        (1115, 8),
        (1116, 4),
        (1117, 4),
        (1118, 4),
        (1119, 4),
        (1120, 4),
        (1121, 0),
        (1122, 4),
        (1152, 1),
        (1153, 4),
        (1154, 8),
        (1155, 4),
        (1156, 4),
        (1157, 1),
        (1158, 7),
        (1159, 4),
        (1162, 8),
        (1170, 1),
        (1171, 4),
        (1172, 4),
        (1173, 4),
        (1174, 4),
        (1250, 4),
        (1251, 12),
        (1252, 4),
    ];

    /// Those that have others inside, with what precedes these at the least.
    const OUTER: &[(u16, usize)] = &[
        (1039, 4),
        (1106, 22),
        (1107, 28),
        (1108, 26),
        (1122, 4),
        (1159, 4),
        (1162, 8),
        (1172, 4),
    ];

    #[test]
    fn each_known_tlv_has_a_field_and_cut_short_stays_as_sent() {
        for &(kind, length) in KNOWN {
            assert_ne!(of(kind, &vec![0; length]), v1::LinkStateAttribute::default(), "{kind}");
            let Some(short) = length.checked_sub(1) else { continue };
            let attribute = parse(&tlv(kind, &vec![0; short])).unwrap();
            let other = attribute.other.first().map(|tlv| (tlv.r#type, tlv.value.len()));
            assert_eq!(other, Some((kind.into(), short)));
        }
    }

    #[test]
    fn unknown_and_broken_tlvs_stay_in_order_and_the_others_are_read() {
        let bytes = [
            tlv(9999, &[1]),
            tlv(1095, &[0, 0, 0, 1]),
            tlv(1095, &[10]),
            tlv(1095, &[20]),
            tlv(1105, &[]),
        ];
        let attribute = parse(&bytes.concat()).unwrap();
        assert_eq!(attribute.igp_metric, Some(10));
        let other: Vec<_> = attribute.other.iter().map(|t| (t.r#type, t.value.to_vec())).collect();
        let expected =
            [(9999, vec![1]), (1095, vec![0, 0, 0, 1]), (1095, vec![20]), (1105, vec![])];
        assert_eq!(other, expected);
    }

    #[test]
    fn tlvs_that_end_too_early_break_the_attribute() {
        assert!(parse(&[4, 71, 0, 4, 1]).is_err());
        assert!(parse(&[4, 71, 0]).is_err());
        assert_eq!(parse(&[]), Ok(v1::LinkStateAttribute::default()));
    }

    #[test]
    fn tlvs_inside_of_another_that_end_too_early_break_the_attribute() {
        for &(kind, before) in OUTER {
            let outer = tlv(kind, &[&vec![0; before][..], &[4, 71, 0, 4, 1]].concat());
            assert!(parse(&outer).is_err(), "{kind}");
            let member = tlv(1172, &[&[0; 4], &*outer].concat());
            assert!(parse(&member).is_err(), "{kind}");
        }
    }

    #[test]
    fn attributes_are_read_inside_of_others_only_so_deep() {
        let mut bytes = tlv(1095, &[10]);
        for _ in 0..3000 {
            bytes = tlv(1172, &[&[0, 0, 0, 7], &*bytes].concat());
        }
        let mut attribute = parse(&bytes).unwrap();
        let mut depth = 0;
        while let Some(member) = attribute.bundle_members.pop() {
            depth += 1;
            attribute = member.attributes.unwrap();
        }
        assert_eq!((depth, attribute.other.len()), (NESTING, 1));
    }

    /// TLVs with none inside, of which many are known, and whose lengths are often right.
    fn tlvs() -> impl Strategy<Value = Vec<u8>> {
        let kind = prop_oneof![
            prop::sample::select(KNOWN).prop_map(|(kind, _)| kind),
            prop::sample::select(vec![1040_u16, 1041, 1042, 1043, 1045, 1046, 1161]),
            any::<u16>(),
        ]
        .prop_filter("anything may be inside", |kind| {
            !matches!(kind, 1034 | 1036) && OUTER.iter().all(|(outer, _)| outer != kind)
        });
        let value = prop::collection::vec(any::<u8>(), 0..40);
        let one = (kind, value).prop_map(|(kind, value)| tlv(kind, &value));
        prop::collection::vec(one, 0..6).prop_map(|tlvs| tlvs.concat())
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn whole_tlvs_are_never_refused(
            (kind, before) in prop::sample::select(OUTER),
            inner in tlvs(),
            after in tlvs(),
        ) {
            let bytes = [tlv(kind, &[vec![0; before], inner].concat()), after].concat();
            prop_assert!(parse(&bytes).is_ok());
        }
    }
}
