//! Holds what the database says against what a router says.

use std::{borrow::Borrow, collections::BTreeSet, fmt};

use crate::table::{Fields, Place, Routes, Tables};

/// Where the two do not agree.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Difference {
    /// In which table.
    pub place: Place,
    /// Of which route.
    pub key: String,
    /// What it is.
    pub what: What,
}

/// What they do not agree on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum What {
    /// The router has it and the database not.
    Missing,
    /// The database has it and the router not.
    Surplus,
    /// Both have it, and say different things.
    Field {
        /// The column.
        name: &'static str,
        /// What the router says.
        router: String,
        /// What the database says.
        database: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, key, what } = self;
        match what {
            What::Missing => write!(out, "{place} {key}: the router has it, the database not"),
            What::Surplus => write!(out, "{place} {key}: the database has it, the router not"),
            What::Field { name, router, database } => {
                write!(
                    out,
                    "{place} {key}: {name} is '{router}' on the router, '{database}' in the database"
                )
            }
        }
    }
}

/// All differences in the tables that the router has told of; and in those of `also` that it has
/// not, which must be empty.
pub(crate) fn compare(
    router: &Tables,
    database: &Tables,
    also: impl Fn(&Place) -> bool,
) -> Vec<Difference> {
    let none = Routes::new();
    let places: BTreeSet<&Place> =
        router.0.keys().chain(database.0.keys().filter(|place| also(place))).collect();
    let mut differences = Vec::new();
    for place in places {
        let told = router.0.get(place).unwrap_or(&none);
        let held = database.0.get(place).unwrap_or(&none);
        for key in told.keys().chain(held.keys()).collect::<BTreeSet<_>>() {
            let paths = |routes: &Routes| routes.get(key).cloned().unwrap_or_default();
            let found = compare_paths(paths(told), paths(held));
            differences.extend(found.into_iter().map(|what| Difference {
                place: place.clone(),
                key: key.clone(),
                what,
            }));
        }
    }
    differences
}

/// The paths of one key, in whatever order. What is left when equal ones are paired is compared
/// pair by pair.
#[must_use]
pub fn compare_paths<F: Borrow<Fields>>(mut told: Vec<F>, mut held: Vec<F>) -> Vec<What> {
    told.retain(|told| {
        let same =
            held.iter().position(|held| compare_fields(told.borrow(), held.borrow()).is_empty());
        if let Some(same) = same {
            held.swap_remove(same);
        }
        same.is_none()
    });
    let pairs = told.len().min(held.len());
    let mut found: Vec<What> = told
        .iter()
        .zip(&held)
        .flat_map(|(told, held)| compare_fields(told.borrow(), held.borrow()))
        .collect();
    found.extend(told.iter().skip(pairs).map(|_| What::Missing));
    found.extend(held.iter().skip(pairs).map(|_| What::Surplus));
    found
}

/// What the router tells, and the database does not say as well.
fn compare_fields(told: &Fields, held: &Fields) -> Vec<What> {
    let differs = |(name, router): (&&'static str, &String)| {
        let database = held.get(name).cloned().unwrap_or_default();
        let same = if *name == "label_fields" {
            same_labels(router, &database)
        } else {
            *router == database
        };
        (!same).then(|| What::Field { name, router: router.clone(), database })
    };
    told.iter().filter_map(differs).collect()
}

/// Routers print the 24 bits of the field. The database has the same of a virtual network's
/// identifier, and of an MPLS label, marked by a point, the high 20.
fn same_labels(router: &str, database: &str) -> bool {
    let same = |(router, database): (&str, &str)| match database.strip_suffix('.') {
        Some(label) => router.parse().ok().map(|field: u32| field >> 4) == label.parse().ok(),
        None => router == database,
    };
    router.split(' ').count() == database.split(' ').count()
        && router.split(' ').zip(database.split(' ')).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(meds: &[&str]) -> Vec<Fields> {
        meds.iter().map(|med| Fields::from([("med", (*med).to_owned())])).collect()
    }

    #[test]
    fn paths_under_one_key_are_paired_in_whatever_order() {
        assert_eq!(compare_paths(paths(&["1", "2"]), paths(&["2", "1"])), []);
        assert_eq!(compare_paths(paths(&["1", "2"]), paths(&["2"])), [What::Missing]);
        assert_eq!(compare_paths(paths(&["2"]), paths(&["2", "3"])), [What::Surplus]);
        let field = What::Field { name: "med", router: "1".to_owned(), database: "3".to_owned() };
        assert_eq!(compare_paths(paths(&["1", "2"]), paths(&["2", "3"])), [field]);
    }

    #[test]
    fn a_label_is_the_high_bits_of_what_routers_print() {
        assert!(same_labels("300", "300"));
        assert!(same_labels("561", "35."));
        assert!(!same_labels("300", "301"));
        assert!(!same_labels("300", "300 301"));
        assert!(same_labels("", ""));
    }
}
