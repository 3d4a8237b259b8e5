//! SR policy (RFC 9830, 2.1).

use ribstream_proto::{family::AfiSafi, v1};

use crate::wire::Malformed;

/// Decodes one NLRI.
pub(super) fn decode(
    _nlri: &[u8],
    _family: AfiSafi,
    _route: &mut v1::OtherRoute,
) -> Result<(), Malformed> {
    Err(Malformed::Short("not decoded yet"))
}
