//! Path attributes (RFC 4271, 4.3 and 5) and what RFC 7606 makes of broken ones.
//!
//! ```text
//! | Flags (1) | Type (1) | Length (1, or 2 with flag 0x10) | Value |
//! ```

mod aigp;
mod attr_set;
mod bfd_discriminator;
mod domain_path;
mod further;
mod link_state;
mod pmsi_tunnel;
mod prefix_sid;
mod rules;
mod sr_candidate_path;
mod tunnel_encapsulation;

use prost::bytes::Bytes;
use ribstream_proto::v1;
use rules::Rules;
use smallvec::SmallVec;

use super::as_path::{AsPath, AsWidth};
use crate::wire::{Malformed, Reader};

const FLAG_OPTIONAL: u8 = 0x80;
const FLAG_TRANSITIVE: u8 = 0x40;
const FLAG_EXTENDED_LENGTH: u8 = 0x10;

/// What is left out without being malformed (RFC 7606, 3, g).
const REPEATED: &str = "repeated attribute";

/// Path attribute types (IANA, BGP Path Attributes).
pub mod attribute_type {
    #![allow(missing_docs, reason = "the registry's own names")]
    pub const ORIGIN: u8 = 1;
    pub const AS_PATH: u8 = 2;
    pub const NEXT_HOP: u8 = 3;
    pub const MULTI_EXIT_DISC: u8 = 4;
    pub const LOCAL_PREF: u8 = 5;
    pub const ATOMIC_AGGREGATE: u8 = 6;
    pub const AGGREGATOR: u8 = 7;
    pub const COMMUNITIES: u8 = 8;
    pub const ORIGINATOR_ID: u8 = 9;
    pub const CLUSTER_LIST: u8 = 10;
    pub const MP_REACH_NLRI: u8 = 14;
    pub const MP_UNREACH_NLRI: u8 = 15;
    pub const EXTENDED_COMMUNITIES: u8 = 16;
    pub const AS4_PATH: u8 = 17;
    pub const AS4_AGGREGATOR: u8 = 18;
    pub const PMSI_TUNNEL: u8 = 22;
    pub const TUNNEL_ENCAPSULATION: u8 = 23;
    pub const TRAFFIC_ENGINEERING: u8 = 24;
    pub const IPV6_EXTENDED_COMMUNITIES: u8 = 25;
    pub const AIGP: u8 = 26;
    pub const BGP_LS: u8 = 29;
    pub const LARGE_COMMUNITY: u8 = 32;
    pub const BGPSEC_PATH: u8 = 33;
    pub const ONLY_TO_CUSTOMER: u8 = 35;
    pub const DOMAIN_PATH: u8 = 36;
    pub const BFD_DISCRIMINATOR: u8 = 38;
    pub const PREFIX_SID: u8 = 40;
    pub const ATTR_SET: u8 = 128;
}
use attribute_type as ty;

/// What is done about a malformed attribute (RFC 7606, 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The attribute is left out, the routes stand.
    Discard,
    /// The routes that the UPDATE announces count as withdrawn.
    TreatAsWithdraw,
}

/// A malformed attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttributeError<'a> {
    /// Its type.
    pub kind: u8,
    /// What is done about it.
    pub verdict: Verdict,
    /// What is wrong with it.
    pub reason: Malformed,
    /// Its value as sent.
    pub value: &'a [u8],
}

/// An attribute as sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawAttribute<'a> {
    /// Its flags.
    pub flags: u8,
    /// Its type.
    pub kind: u8,
    /// Its value.
    pub value: &'a [u8],
}

/// AGGREGATOR (RFC 4271, 5.1.7) or AS4_AGGREGATOR (RFC 6793).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aggregator {
    /// The AS that aggregated.
    pub asn: u32,
    /// The router that aggregated.
    pub address: [u8; 4],
}

/// The path attributes of an UPDATE but for the MP ones, each checked.
#[derive(Clone, Debug, Default)]
pub struct Attributes<'a> {
    /// 0 IGP, 1 EGP, 2 INCOMPLETE.
    pub origin: Option<u8>,
    /// AS_PATH.
    pub as_path: Option<AsPath<'a>>,
    /// AS4_PATH.
    pub as4_path: Option<AsPath<'a>>,
    /// NEXT_HOP, 4 octets.
    pub next_hop: Option<&'a [u8; 4]>,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// LOCAL_PREF.
    pub local_pref: Option<u32>,
    /// ATOMIC_AGGREGATE.
    pub atomic_aggregate: bool,
    /// AGGREGATOR.
    pub aggregator: Option<Aggregator>,
    /// AS4_AGGREGATOR.
    pub as4_aggregator: Option<Aggregator>,
    /// COMMUNITIES, 4 octets each.
    pub communities: &'a [u8],
    /// Extended Communities, 8 octets each.
    pub extended_communities: &'a [u8],
    /// LARGE_COMMUNITY, 12 octets each.
    pub large_communities: &'a [u8],
    /// ORIGINATOR_ID.
    pub originator_id: Option<&'a [u8; 4]>,
    /// CLUSTER_LIST, 4 octets each.
    pub cluster_list: &'a [u8],
    /// ONLY_TO_CUSTOMER.
    pub only_to_customer: Option<u32>,
    /// Attributes that few UPDATEs have, as they are in the event.
    pub further: Option<Box<v1::PathAttributes>>,
    /// Every other attribute.
    pub other: SmallVec<[RawAttribute<'a>; 1]>,
    /// What was malformed.
    pub errors: Vec<AttributeError<'a>>,
    /// Why the list could not be read to its end, if so: what followed is unknown.
    pub(super) cut: Option<Malformed>,
    /// Types seen, a bit each.
    seen: [u64; 4],
    /// These are the attributes inside of an ATTR_SET.
    nested: bool,
}

impl<'a> Attributes<'a> {
    /// Reads one attribute after the other and hands MP_REACH_NLRI and
    /// MP_UNREACH_NLRI to `mp`, as often as they come. `expected` is the width of
    /// AS numbers to try first.
    #[inline]
    pub(super) fn read(
        &mut self,
        bytes: &'a [u8],
        expected: Option<AsWidth>,
        mut mp: impl FnMut(RawAttribute<'a>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let mut as_path = None;
        let mut reader = Reader::new(bytes);
        while reader.any_left() {
            let before = reader.rest();
            let attribute = match RawAttribute::read(&mut reader) {
                Ok(attribute) => attribute,
                Err(reason) => {
                    // The list is cut: what it announces cannot be trusted (RFC 7606, 4).
                    let kind = before.get(1).copied().unwrap_or_default();
                    self.fail(kind, Verdict::TreatAsWithdraw, reason, before);
                    self.cut = Some(reason);
                    break;
                }
            };
            match attribute.kind {
                ty::MP_REACH_NLRI | ty::MP_UNREACH_NLRI => mp(attribute)?,
                kind if self.was_seen(kind) => self.fail(
                    kind,
                    Verdict::Discard,
                    Malformed::Value { what: REPEATED, value: kind.into() },
                    attribute.value,
                ),
                _ if self.flags_are_wrong(attribute) => {}
                ty::AS_PATH => as_path = Some(attribute.value),
                _ => self.take(attribute),
            }
        }
        if let Some(value) = as_path {
            let expected = expected.unwrap_or(AsWidth::Four);
            let expected = if self.as4_path.is_some() { AsWidth::Two } else { expected };
            match AsPath::parse_either(value, expected) {
                Ok(path) => self.as_path = Some(path),
                Err(reason) => {
                    self.fail(ty::AS_PATH, Verdict::TreatAsWithdraw, reason, value);
                }
            }
        }
        let virtual_networks = self.further.is_some() && self.has_virtual_networks();
        if let Some(pmsi) = self.further.as_mut().and_then(|further| further.pmsi_tunnel.as_mut()) {
            pmsi_tunnel::settle(pmsi, virtual_networks);
        }
        Ok(())
    }

    /// Reads the attributes inside of an ATTR_SET, none of which may be malformed or
    /// an MP one (RFC 6368, 5). One level deep: another ATTR_SET stays raw.
    fn parse_nested(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut attributes = Self { nested: true, ..Self::default() };
        attributes.read(bytes, Some(AsWidth::Four), |mp| {
            Err(Malformed::Value { what: "attribute in ATTR_SET", value: mp.kind.into() })
        })?;
        let mut reasons = attributes.errors.iter().map(|error| error.reason);
        match reasons.find(|reason| !matches!(reason, Malformed::Value { what: REPEATED, .. })) {
            Some(reason) => Err(reason),
            None => Ok(attributes),
        }
    }

    /// Whether RFC 7606 wants the announced routes withdrawn.
    #[must_use]
    pub fn treat_as_withdraw(&self) -> bool {
        self.errors.iter().any(|error| error.verdict == Verdict::TreatAsWithdraw)
    }

    /// Whether an attribute of this type was sent, well-formed or not.
    #[must_use]
    pub fn has(&self, kind: u8) -> bool {
        let word = self.seen.get(usize::from(kind / 64)).copied().unwrap_or_default();
        word & (1 << (kind % 64)) != 0
    }

    /// Records that a mandatory attribute is missing (RFC 7606, 3, d).
    pub(super) fn require(&mut self, kind: u8, what: &'static str) {
        if !self.has(kind) {
            self.fail(kind, Verdict::TreatAsWithdraw, Malformed::Short(what), &[]);
        }
    }

    /// Notes the type as seen and tells whether it had been before.
    fn was_seen(&mut self, kind: u8) -> bool {
        let seen = self.has(kind);
        if let Some(word) = self.seen.get_mut(usize::from(kind / 64)) {
            *word |= 1 << (kind % 64);
        }
        seen
    }

    fn fail(&mut self, kind: u8, verdict: Verdict, reason: Malformed, value: &'a [u8]) {
        self.errors.push(AttributeError { kind, verdict, reason, value });
    }

    /// Checks Optional and Transitive against what the type prescribes (RFC 7606, 3, c).
    fn flags_are_wrong(&mut self, attribute: RawAttribute<'a>) -> bool {
        let RawAttribute { flags, kind, value } = attribute;
        let Some(verdict) = Rules::of(kind).and_then(|rules| rules.on_flags(kind, flags)) else {
            return false;
        };
        let reason = Malformed::Value { what: "attribute flags", value: flags.into() };
        self.fail(kind, verdict, reason, value);
        true
    }

    /// Takes an attribute other than AS_PATH and the MP ones.
    fn take(&mut self, attribute: RawAttribute<'a>) {
        let RawAttribute { kind, value, .. } = attribute;
        let taken = match kind {
            ty::ORIGIN => origin(value).map(|v| self.origin = Some(v)),
            ty::NEXT_HOP => fixed(value, "NEXT_HOP").map(|v| self.next_hop = Some(v)),
            ty::MULTI_EXIT_DISC => number(value, "MULTI_EXIT_DISC").map(|v| self.med = Some(v)),
            ty::LOCAL_PREF => number(value, "LOCAL_PREF").map(|v| self.local_pref = Some(v)),
            ty::ATOMIC_AGGREGATE => {
                fixed::<0>(value, "ATOMIC_AGGREGATE").map(|_| self.atomic_aggregate = true)
            }
            ty::AGGREGATOR => aggregator(value).map(|v| self.aggregator = Some(v)),
            ty::AS4_AGGREGATOR => {
                fixed::<8>(value, "AS4_AGGREGATOR").and_then(|v| aggregator(v)).map(|v| {
                    self.as4_aggregator = Some(v);
                })
            }
            ty::AS4_PATH => AsPath::parse_as4(value).map(|v| self.as4_path = Some(v)),
            ty::COMMUNITIES => multiple(value, 4, "COMMUNITIES").map(|v| self.communities = v),
            ty::EXTENDED_COMMUNITIES => {
                multiple(value, 8, "EXTENDED COMMUNITIES").map(|v| self.extended_communities = v)
            }
            ty::LARGE_COMMUNITY => {
                multiple(value, 12, "LARGE_COMMUNITY").map(|v| self.large_communities = v)
            }
            ty::ORIGINATOR_ID => {
                fixed(value, "ORIGINATOR_ID").map(|v| self.originator_id = Some(v))
            }
            ty::CLUSTER_LIST => multiple(value, 4, "CLUSTER_LIST").map(|v| self.cluster_list = v),
            ty::ONLY_TO_CUSTOMER => {
                number(value, "ONLY_TO_CUSTOMER").map(|v| self.only_to_customer = Some(v))
            }
            _ => {
                self.take_further(attribute);
                Ok(())
            }
        };
        if let Err(reason) = taken {
            let verdict = Rules::of(kind).map_or(Verdict::TreatAsWithdraw, |rules| rules.on_value);
            self.fail(kind, verdict, reason, value);
        }
    }
}

impl<'a> Attributes<'a> {
    /// Takes an attribute that few UPDATEs have, or that is not known.
    fn take_further(&mut self, attribute: RawAttribute<'a>) {
        if self.nested && attribute.kind == ty::ATTR_SET {
            self.other.push(attribute);
            return;
        }
        match further::take(attribute, &mut self.further) {
            None => self.other.push(attribute),
            Some(Ok(())) => {}
            Some(Err((verdict, reason))) => {
                self.fail(attribute.kind, verdict, reason, attribute.value);
            }
        }
    }

    /// Whether the encapsulation of the routes is one with virtual networks, so
    /// that what stands in the place of a label is a VNI (RFC 8365, 5.1.3).
    #[must_use]
    pub fn has_virtual_networks(&self) -> bool {
        // VXLAN, NVGRE, VXLAN GPE and GENEVE in the encapsulation extended community
        // (RFC 9012, 4.1) or in the Tunnel Encapsulation attribute.
        let tunnels =
            self.further.as_ref().and_then(|further| further.tunnel_encapsulation.as_ref());
        self.extended_communities
            .chunks_exact(8)
            .any(|community| matches!(community, [0x03, 0x0c, .., 8 | 9 | 12 | 19]))
            || tunnels.is_some_and(|attribute| {
                attribute.tunnels.iter().any(|tunnel| matches!(tunnel.r#type, 8 | 9 | 12 | 19))
            })
    }
}

impl<'a> RawAttribute<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        const WHAT: &str = "path attribute";
        let [flags, kind, first] = reader.array(WHAT)?;
        let length = if flags & FLAG_EXTENDED_LENGTH != 0 {
            u16::from_be_bytes([first, reader.u8(WHAT)?])
        } else {
            first.into()
        };
        Ok(Self { flags, kind, value: reader.take(length.into(), WHAT)? })
    }
}

/// The event owns its bytes.
fn copy(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

/// Whether these can be an IPv4 or an IPv6 address.
const fn is_address(octets: &[u8]) -> bool {
    matches!(octets.len(), 4 | 16)
}

/// A number of three octets.
fn u24(reader: &mut Reader<'_>, what: &'static str) -> Result<u32, Malformed> {
    reader.array(what).map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
}

/// A TLV that is carried as sent.
fn tlv(kind: u8, value: &[u8]) -> v1::RawTlv {
    v1::RawTlv { r#type: kind.into(), value: copy(value) }
}

fn fixed<'a, const N: usize>(
    value: &'a [u8],
    what: &'static str,
) -> Result<&'a [u8; N], Malformed> {
    value.try_into().map_err(|_| Malformed::Length { what, length: value.len() })
}

fn number(value: &[u8], what: &'static str) -> Result<u32, Malformed> {
    fixed(value, what).map(|bytes| u32::from_be_bytes(*bytes))
}

/// A list of fixed-size members; an empty one is malformed (RFC 7606, 7).
fn multiple<'a>(value: &'a [u8], of: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
    if value.is_empty() || !value.len().is_multiple_of(of) {
        return Err(Malformed::Length { what, length: value.len() });
    }
    Ok(value)
}

fn origin(value: &[u8]) -> Result<u8, Malformed> {
    match fixed(value, "ORIGIN")? {
        [origin @ 0..=2] => Ok(*origin),
        [other] => Err(Malformed::Value { what: "ORIGIN", value: (*other).into() }),
    }
}

/// 6 octets with a 2-octet AS, 8 with a 4-octet one: the length tells.
fn aggregator(value: &[u8]) -> Result<Aggregator, Malformed> {
    const WHAT: &str = "AGGREGATOR";
    let mut reader = Reader::new(value);
    let asn = match value.len() {
        6 => reader.u16(WHAT)?.into(),
        8 => reader.u32(WHAT)?,
        length => return Err(Malformed::Length { what: WHAT, length }),
    };
    Ok(Aggregator { asn, address: reader.array(WHAT)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Attributes<'_> {
        let mut attributes = Attributes::default();
        attributes.read(bytes, None, |_| Ok(())).unwrap();
        attributes
    }

    fn verdicts(bytes: &[u8]) -> Vec<(u8, Verdict)> {
        parse(bytes).errors.iter().map(|e| (e.kind, e.verdict)).collect()
    }

    #[test]
    fn only_the_first_of_a_repeated_attribute_counts() {
        let attributes = parse(&[0x80, 4, 4, 0, 0, 0, 1, 0x80, 4, 4, 0, 0, 0, 2]);
        assert_eq!(attributes.med, Some(1));
        assert_eq!(attributes.errors[0].verdict, Verdict::Discard);
    }

    #[test]
    fn an_attribute_that_runs_past_the_list_withdraws_the_routes() {
        let bytes = [0x40, 1, 1, 0, 0xc0, 8, 200, 1];
        assert_eq!(verdicts(&bytes), [(8, Verdict::TreatAsWithdraw)]);
        assert_eq!(parse(&bytes).origin, Some(0));
    }

    #[test]
    fn an_unknown_attribute_is_kept_as_sent() {
        let attributes = parse(&[0xd0, 99, 0, 2, 7, 8]);
        assert_eq!(attributes.other[0], RawAttribute { flags: 0xd0, kind: 99, value: &[7, 8] });
        assert!(attributes.errors.is_empty());
        assert!(attributes.further.is_none());
    }

    #[test]
    fn the_label_of_a_pmsi_tunnel_is_a_vni_whichever_attribute_says_so() {
        const PMSI: &[u8] = &[0xc0, 22, 9, 0, 6, 0, 0x03, 0xe8, 10, 0, 0, 1];
        let vni = |bytes: &[u8]| {
            let pmsi = parse(bytes).further.unwrap().pmsi_tunnel.unwrap();
            assert_ne!(pmsi.label.is_some(), pmsi.vni.is_some());
            pmsi.vni
        };
        assert_eq!(vni(PMSI), None);
        let community = [&[0xc0, 16, 8, 3, 0x0c, 0, 0, 0, 0, 0, 8][..], PMSI].concat();
        assert_eq!(vni(&community), Some(1000));
        let attribute = [PMSI, &[0xc0, 23, 4, 0, 8, 0, 0]].concat();
        assert_eq!(vni(&attribute), Some(1000));
    }
}
