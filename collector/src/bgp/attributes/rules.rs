//! What RFC 7606, and the RFC of each attribute, make of one that is broken.
//! `docs/rfc7606.md` has them as a table, with an example of each row.

use Verdict::{Discard, TreatAsWithdraw};

use super::{FLAG_OPTIONAL, FLAG_TRANSITIVE, Verdict, attribute_type as ty};

const WELL_KNOWN: u8 = FLAG_TRANSITIVE;
const OPTIONAL_TRANSITIVE: u8 = FLAG_OPTIONAL | FLAG_TRANSITIVE;
const OPTIONAL_NON_TRANSITIVE: u8 = FLAG_OPTIONAL;

/// What holds for an attribute type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// What Optional and Transitive are to be.
    flags: u8,
    /// What is done where the value is malformed.
    pub(super) on_value: Verdict,
}

impl Rules {
    /// The rules for a type; `None` where it is not one that is known.
    #[inline]
    pub(super) const fn of(kind: u8) -> Option<Self> {
        let (flags, on_value) = match kind {
            ty::ORIGIN | ty::AS_PATH | ty::NEXT_HOP | ty::LOCAL_PREF => {
                (WELL_KNOWN, TreatAsWithdraw)
            }
            ty::ATOMIC_AGGREGATE => (WELL_KNOWN, Discard),
            ty::MULTI_EXIT_DISC
            | ty::ORIGINATOR_ID
            | ty::CLUSTER_LIST
            | ty::TRAFFIC_ENGINEERING
            | ty::BGPSEC_PATH => (OPTIONAL_NON_TRANSITIVE, TreatAsWithdraw),
            ty::AGGREGATOR
            | ty::AS4_PATH
            | ty::AS4_AGGREGATOR
            | ty::BFD_DISCRIMINATOR
            // Its SRv6 TLVs weigh more (RFC 9252, 7).
            | ty::PREFIX_SID => (OPTIONAL_TRANSITIVE, Discard),
            ty::AIGP | ty::BGP_LS => (OPTIONAL_NON_TRANSITIVE, Discard),
            ty::COMMUNITIES
            | ty::EXTENDED_COMMUNITIES
            | ty::IPV6_EXTENDED_COMMUNITIES
            | ty::LARGE_COMMUNITY
            | ty::ONLY_TO_CUSTOMER
            | ty::PMSI_TUNNEL
            | ty::TUNNEL_ENCAPSULATION
            | ty::DOMAIN_PATH
            | ty::ATTR_SET => (OPTIONAL_TRANSITIVE, TreatAsWithdraw),
            _ => return None,
        };
        Some(Self { flags, on_value })
    }

    /// What is done where Optional and Transitive are not as the type, `kind`, has
    /// them (RFC 7606, 3, c).
    #[inline]
    pub(super) const fn on_flags(self, kind: u8, flags: u8) -> Option<Verdict> {
        match flags & OPTIONAL_TRANSITIVE {
            right if right == self.flags => None,
            // RFC 7311, 3.2.
            OPTIONAL_TRANSITIVE if kind == ty::AIGP => Some(Discard),
            _ => Some(TreatAsWithdraw),
        }
    }
}
