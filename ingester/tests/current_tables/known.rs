//! What these versions of the routers are known to get wrong. All that is excepted is here.

use std::rc::Rc;

use ribstream_interop::{
    compare::What,
    table::{Fields, Place},
};

use crate::{
    capture::Capture,
    compare::Held,
    told::{LOC_RIB, POST, PRE, Told},
};

/// A route that the router and the database do not agree on.
pub(crate) struct Case<'a> {
    pub(crate) capture: &'a Capture,
    pub(crate) told: &'a Told,
    pub(crate) place: &'a Place,
    pub(crate) key: &'a str,
    pub(crate) told_paths: &'a [Rc<Fields>],
    pub(crate) held_paths: &'a [Rc<Fields>],
    /// All that the database holds of the router.
    pub(crate) held: &'a Held,
}

/// A router's own fault.
pub(crate) struct Known {
    /// What it does, and which version.
    pub(crate) reason: &'static str,
    /// The captures in which it is seen.
    pub(crate) seen_in: &'static [&'static str],
    /// Is it this?
    pub(crate) explains: fn(&Case<'_>, &What) -> bool,
}

/// All of them.
pub(crate) const KNOWN: [Known; 5] = [
    Known {
        reason: "FRR prepends its own AS to the path of an eBGP peer's route",
        seen_in: &["frr10-unicast"],
        explains: |case, what| match (what, &case.told.local_as) {
            (What::Field { name: "as_path", router, database }, Some(own)) => {
                case.of("FRR") && *database == *format!("{own} {router}").trim_end()
            }
            _ => false,
        },
    },
    Known {
        reason: "FRR leaves the local preference that its policy set out of an eBGP peer's route",
        seen_in: &["frr10-unicast"],
        explains: |case, what| match what {
            What::Field { name: "local_pref", database, .. } => {
                case.of("FRR") && case.place.view != PRE && database.is_empty()
            }
            _ => false,
        },
    },
    Known {
        reason: "FRR puts its own BGP Identifier before the cluster list of an iBGP peer's route",
        seen_in: &["frr10-unicast"],
        explains: |case, what| match (what, &case.told.router_id) {
            (What::Field { name: "cluster_list", router, database }, Some(own)) => {
                case.of("FRR") && *database == *format!("{own} {router}").trim_end()
            }
            _ => false,
        },
    },
    Known {
        reason: "FRR does not withdraw from its Loc-RIB what went with the peer that had sent it",
        seen_in: &["frr10-unicast"],
        explains: |case, what| {
            let gone = |path: &Rc<Fields>| case.held.keys().all(|of| of.peer != path["next_hop"]);
            *what == What::Surplus
                && case.of("FRR")
                && case.place.view == LOC_RIB
                && case.held_paths.iter().all(gone)
        },
    },
    Known {
        reason: "GoBGP sends post-policy routes without the path identifiers that tell the paths \
                 of a prefix apart: the last one stands for all",
        seen_in: &["gobgp336-multi"],
        explains: |case, what| {
            *what == What::Missing
                && case.of("GoBGP")
                && case.place.view == POST
                && case.held_paths.len() == 1
                && case.told_paths.len() > 1
        },
    },
];

impl Case<'_> {
    /// Whether the description of the capture names the router's software so.
    fn of(&self, software: &str) -> bool {
        self.capture.title.contains(software)
    }
}
