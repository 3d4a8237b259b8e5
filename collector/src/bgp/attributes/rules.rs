//! What RFC 7606, and the RFC of each attribute, make of one that is broken.
//! `docs/rfc7606.md` has them as a table, with an example of each row.

use super::{FLAG_OPTIONAL, FLAG_TRANSITIVE, Verdict, attribute_type as ty};

const WELL_KNOWN: u8 = FLAG_TRANSITIVE;
const OPTIONAL_TRANSITIVE: u8 = FLAG_OPTIONAL | FLAG_TRANSITIVE;
const OPTIONAL_NON_TRANSITIVE: u8 = FLAG_OPTIONAL;

/// What holds for an attribute type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// What Optional and Transitive are to be.
    flags: u8,
    /// What is done where they are not (RFC 7606, 3, c).
    pub(super) on_flags: Verdict,
    /// What is done where the value is malformed.
    pub(super) on_value: Verdict,
}

impl Rules {
    /// The rules for a type; `None` where it is not one that is decoded.
    #[inline]
    pub(super) const fn of(kind: u8) -> Option<Self> {
        use Verdict::{Discard, TreatAsWithdraw};
        let (flags, on_flags, on_value) = match kind {
            ty::ORIGIN | ty::AS_PATH | ty::NEXT_HOP | ty::LOCAL_PREF => {
                (WELL_KNOWN, TreatAsWithdraw, TreatAsWithdraw)
            }
            ty::ATOMIC_AGGREGATE => (WELL_KNOWN, TreatAsWithdraw, Discard),
            ty::MULTI_EXIT_DISC | ty::ORIGINATOR_ID | ty::CLUSTER_LIST => {
                (OPTIONAL_NON_TRANSITIVE, TreatAsWithdraw, TreatAsWithdraw)
            }
            ty::AGGREGATOR | ty::AS4_PATH | ty::AS4_AGGREGATOR | ty::BFD_DISCRIMINATOR => {
                (OPTIONAL_TRANSITIVE, TreatAsWithdraw, Discard)
            }
            // RFC 9012, 13.
            ty::TUNNEL_ENCAPSULATION => (OPTIONAL_TRANSITIVE, Discard, TreatAsWithdraw),
            // RFC 8669, 6. Its SRv6 TLVs weigh more.
            ty::PREFIX_SID => (OPTIONAL_TRANSITIVE, Discard, Discard),
            // RFC 7311, 3.2.
            ty::AIGP => (OPTIONAL_NON_TRANSITIVE, Discard, Discard),
            ty::COMMUNITIES
            | ty::EXTENDED_COMMUNITIES
            | ty::IPV6_EXTENDED_COMMUNITIES
            | ty::LARGE_COMMUNITY
            | ty::ONLY_TO_CUSTOMER
            | ty::PMSI_TUNNEL
            | ty::DOMAIN_PATH
            | ty::ATTR_SET => (OPTIONAL_TRANSITIVE, TreatAsWithdraw, TreatAsWithdraw),
            // RFC 9552, 8.2.2.
            ty::BGP_LS => (OPTIONAL_NON_TRANSITIVE, TreatAsWithdraw, Discard),
            _ => return None,
        };
        Some(Self { flags, on_flags, on_value })
    }

    /// Whether these are the Optional and Transitive bits that the type has.
    #[inline]
    pub(super) const fn flags_are_right(self, flags: u8) -> bool {
        flags & OPTIONAL_TRANSITIVE == self.flags
    }
}
