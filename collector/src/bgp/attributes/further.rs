//! Attributes that few UPDATEs have, decoded straight into the event's types.

use ribstream_proto::v1;

use super::{RawAttribute, Verdict, attribute_type as ty, link_state};
use crate::wire::Malformed;

/// Decodes an attribute into its field of `into`. `None` where it is none of
/// those that are decoded here.
pub(super) fn take(
    attribute: RawAttribute<'_>,
    into: &mut v1::PathAttributes,
) -> Option<Result<(), (Verdict, Malformed)>> {
    let RawAttribute { kind, value, .. } = attribute;
    Some(match kind {
        ty::BGP_LS => match link_state::parse(value) {
            Ok(attribute) => {
                into.link_state = Some(Box::new(attribute));
                Ok(())
            }
            // RFC 9552, 8.2.2.
            Err(reason) => Err((Verdict::Discard, reason)),
        },
        _ => return None,
    })
}
