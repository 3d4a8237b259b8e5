//! VPLS (RFC 4761, 3.2.2; RFC 6074, 3.2.2).

use ribstream_proto::v1;

use crate::wire::Malformed;

/// Decodes one NLRI.
pub(super) fn decode(_nlri: &[u8], _route: &mut v1::OtherRoute) -> Result<(), Malformed> {
    Err(Malformed::Short("not decoded yet"))
}
