//! Attributes that few UPDATEs have, decoded straight into the event's types.

use ribstream_proto::v1;

use super::{RawAttribute, Verdict};
use crate::wire::Malformed;

/// Decodes an attribute into its field of `into`. `None` where it is none of
/// those that are decoded here.
pub(super) fn take(
    _attribute: RawAttribute<'_>,
    _into: &mut v1::PathAttributes,
) -> Option<Result<(), (Verdict, Malformed)>> {
    None
}
