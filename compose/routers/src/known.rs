//! What these versions of the routers are known to get wrong. All that is excepted is here.

use crate::{
    PATHS,
    compare::{Difference, What},
};

/// A router's own fault.
pub(crate) struct Known {
    /// What it does, and which version.
    pub(crate) reason: &'static str,
    /// Is it this?
    pub(crate) explains: fn(&Difference) -> bool,
}

/// FRR's own AS.
const FRR_ASN: &str = "65003";
/// Routes with the community that compose/routers/bgpd.conf rejects, at one checkpoint or another.
const REJECTED: [&str; 2] = ["198.51.103.0/24", "203.0.113.7/32"];

/// All of them.
pub(crate) const KNOWN: [Known; 6] = [
    Known {
        reason: "GoBGP 3.10 sends post-policy routes without the path identifiers that tell the \
                 paths of a prefix apart: the last one stands for all, and goes with any",
        explains: |difference| {
            matches!(difference.what, What::Missing)
                && difference.place.router == "gobgp"
                && difference.place.peer == PATHS
                && difference.place.view == "adj-rib-in-post"
        },
    },
    Known {
        reason: "FRR 8.4 tells of its own routes only at a session's start, as of a peer 0.0.0.0",
        explains: |difference| {
            matches!(difference.what, What::Missing)
                && difference.place.router == "frr"
                && difference.place.peer == "0.0.0.0"
        },
    },
    Known {
        reason: "FRR 8.4 prepends its own AS to the path of an eBGP peer's route",
        explains: |difference| {
            field(difference, "frr", &["as_path"], |router, database| {
                *database == *format!("{FRR_ASN} {router}").trim_end()
            })
        },
    },
    Known {
        reason: "FRR 8.4 leaves the local preference out of an eBGP peer's post-policy route",
        explains: |difference| {
            field(difference, "frr", &["local_pref"], |_, database| database.is_empty())
        },
    },
    Known {
        reason: "FRR 8.4 leaves labels out, or sends zeros in their place",
        explains: |difference| {
            field(difference, "frr", &["labels", "label_fields"], |_, database| {
                database.chars().all(|digit| matches!(digit, '0' | ' ' | '.'))
            })
        },
    },
    Known {
        reason: "FRR 8.4 withdraws from the pre-policy table what its policy rejects",
        explains: |difference| {
            matches!(difference.what, What::Missing)
                && difference.place.router == "frr"
                && difference.place.view == "adj-rib-in-pre"
                && REJECTED.contains(&difference.key.as_str())
        },
    },
];

/// Is it one of these fields of that router, of which the router and the database say such things?
fn field(difference: &Difference, of: &str, names: &[&str], such: fn(&str, &str) -> bool) -> bool {
    match &difference.what {
        What::Field { name, router, database } => {
            difference.place.router == of && names.contains(name) && such(router, database)
        }
        _ => false,
    }
}
