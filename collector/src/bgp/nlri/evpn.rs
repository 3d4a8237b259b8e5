//! EVPN (RFC 7432, 7; RFC 9136, 3; RFC 9251, 9; RFC 9572, 3).

use ribstream_proto::v1;

use crate::wire::Malformed;

/// Decodes one NLRI; its labels are VNIs where `virtual_networks`.
pub(super) fn decode(_nlri: &[u8], _virtual_networks: bool) -> Result<v1::EvpnRoute, Malformed> {
    Err(Malformed::Short("not decoded yet"))
}
