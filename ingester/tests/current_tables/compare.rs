//! What a file tells, held against what the database holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    rc::Rc,
};

use ribstream_interop::{
    compare::{Difference, What, compare_paths},
    table::{Fields, Place},
};

use crate::{
    capture::Capture,
    known::{Case, KNOWN},
    told::{Routes, Told},
};

/// All that the database holds of a router.
pub(crate) type Held = BTreeMap<Place, Routes>;

/// What came of it.
#[derive(Default)]
pub(crate) struct Outcome {
    /// How many routes were compared, by view and family.
    pub(crate) compared: BTreeMap<(String, String), usize>,
    /// What is not excepted.
    pub(crate) differences: Vec<Difference>,
    /// Which exceptions there were, and how often.
    pub(crate) excepted: BTreeMap<usize, usize>,
}

/// Holds all that a file tells against the database.
pub(crate) fn compare(capture: &Capture, told: &Told, held: &Held) -> Outcome {
    let mut outcome = Outcome::default();
    let none = Routes::new();
    for (place, routes) in &told.tables {
        let of = (place.view.clone(), place.family.clone());
        *outcome.compared.entry(of).or_default() += routes.values().map(Vec::len).sum::<usize>();
        let rows = held.get(place).unwrap_or(&none);
        for (key, told_paths) in routes {
            let rows = rows.get(key).map_or(&[][..], Vec::as_slice);
            outcome.route(&Case { capture, told, place, key, told_paths, held_paths: rows, held });
        }
    }
    for (place, routes) in held {
        // What has been told of has been compared, but for what only the database has.
        let others = told.tables.get(place);
        if others.is_none() && !told.empty(place) {
            continue;
        }
        for (key, held_paths) in routes {
            if others.is_none_or(|routes| !routes.contains_key(key)) {
                let case = Case { capture, told, place, key, told_paths: &[], held_paths, held };
                outcome.route(&case);
            }
        }
    }
    for (place, count) in &told.counts {
        let rows = held.get(place).map_or(0, |routes| routes.values().map(Vec::len).sum());
        if rows != *count {
            let (router, database) = (count.to_string(), rows.to_string());
            let what = What::Field { name: "number of routes", router, database };
            let case =
                Case { capture, told, place, key: "", told_paths: &[], held_paths: &[], held };
            outcome.differ(&case, what);
        }
    }
    outcome
}

impl Told {
    /// Whether the file says of a table that it does not show that it is empty.
    fn empty(&self, place: &Place) -> bool {
        self.down.contains(&place.peer)
            || self.all_of.contains(&(place.view.clone(), place.family.clone()))
    }
}

impl Outcome {
    fn route(&mut self, case: &Case<'_>) {
        // Nearly all are alike and alone.
        let paths = |paths: &[Rc<Fields>]| paths.iter().map(Rc::clone).collect::<Vec<_>>();
        for what in compare_paths(paths(case.told_paths), paths(case.held_paths)) {
            self.differ(case, what);
        }
    }

    fn differ(&mut self, case: &Case<'_>, what: What) {
        let place = Place { router: case.capture.name.clone(), ..case.place.clone() };
        let difference = Difference { place, key: case.key.to_owned(), what };
        match KNOWN.iter().position(|known| (known.explains)(case, &difference.what)) {
            Some(known) => *self.excepted.entry(known).or_default() += 1,
            None => self.differences.push(difference),
        }
    }
}

/// What was found of a capture's files.
pub(crate) struct Findings<'a> {
    capture: &'a Capture,
    files: Vec<File<'a>>,
    /// Files that cannot be read.
    unread: Vec<String>,
    /// Files that were written before the capture began, by an earlier run of its scenario.
    stale: Vec<&'a str>,
}

/// A file that was written at one of a few moments, and what it is nearest to at one of them.
struct File<'a> {
    name: &'a str,
    told: Told,
    unmonitored: Vec<Place>,
    moments: BTreeSet<usize>,
    best: Option<Outcome>,
}

impl File<'_> {
    fn waits_for(&self, moment: usize) -> bool {
        let found = self.best.as_ref().is_some_and(|best| best.differences.is_empty());
        !found && self.moments.contains(&moment)
    }
}

impl<'a> Findings<'a> {
    pub(crate) fn of(capture: &'a Capture) -> Self {
        let mut findings =
            Self { capture, files: Vec::new(), unread: Vec::new(), stale: Vec::new() };
        for file in &capture.files {
            let (name, moments) = (file.name.as_str(), capture.moments(file));
            if moments.is_empty() {
                findings.stale.push(name);
                continue;
            }
            match crate::told::read(file) {
                Ok(None) => {}
                Ok(Some(mut told)) => {
                    let unmonitored = told.drop_unmonitored(capture);
                    findings.files.push(File { name, told, unmonitored, moments, best: None });
                }
                Err(error) => {
                    findings.unread.push(format!("{} {name}: {error:#}", capture.name));
                }
            }
        }
        findings
    }

    /// How far the capture has to be played for each of its comparisons.
    pub(crate) fn moments(&self) -> BTreeSet<usize> {
        self.files.iter().flat_map(|file| file.moments.iter().copied()).collect()
    }

    /// Whether there is a file to compare at a moment.
    pub(crate) fn waits_for(&self, moment: usize) -> bool {
        self.files.iter().any(|file| file.waits_for(moment))
    }

    /// Holds the files that may have been written at a moment against what the database has.
    pub(crate) fn compare(&mut self, moment: usize, held: &Held) {
        for file in self.files.iter_mut().filter(|file| file.waits_for(moment)) {
            let outcome = compare(self.capture, &file.told, held);
            let better = |best: &Outcome| outcome.differences.len() < best.differences.len();
            if file.best.as_ref().is_none_or(better) {
                file.best = Some(outcome);
            }
        }
    }

    /// What was compared, and what is wrong.
    pub(crate) fn report(&self) -> Report {
        let mut report = Report { wrong: self.unread.clone(), ..Report::default() };
        let name = &self.capture.name;
        let mut compared = BTreeMap::<_, (usize, usize)>::new();
        let mut unmonitored = BTreeSet::new();
        for file in &self.files {
            let moment = file.name.split('.').next().unwrap_or_default();
            let Some(best) = &file.best else {
                report.wrong.push(format!("{name} {}: nothing was compared", file.name));
                continue;
            };
            for ((view, family), routes) in &best.compared {
                let line = compared.entry((moment, view, family)).or_default();
                *line = (line.0 + 1, line.1 + routes);
            }
            let of_moment = file.unmonitored.iter().map(|place| (&place.view, &place.family));
            unmonitored.extend(of_moment);
            for (known, times) in &best.excepted {
                *report.excepted.entry(*known).or_default() += times;
            }
            let count = best.differences.len();
            for difference in best.differences.iter().take(SHOWN) {
                report.wrong.push(format!("{} {difference}", file.name));
            }
            if count > SHOWN {
                report.wrong.push(format!("{name} {}: and {} more", file.name, count - SHOWN));
            }
        }
        if compared.is_empty() {
            report.wrong.push(format!("{name}: its command line tells of no table at all"));
        }
        for ((moment, view, family), (files, routes)) in compared {
            let _ = writeln!(
                report.text,
                "{name} {moment} {view} {family}: {routes} routes of {files} files"
            );
        }
        for (view, family) in unmonitored {
            let _ = writeln!(report.text, "{name} {view} {family}: the router sends no BMP of it");
        }
        for (known, times) in &report.excepted {
            let _ = writeln!(report.text, "{name}: {times} times: {}", KNOWN[*known].reason);
        }
        for file in &self.stale {
            let _ = writeln!(report.text, "{name} {file}: older than the capture, not compared");
        }
        report
    }
}

/// How many differences of a file are shown.
const SHOWN: usize = 20;

#[derive(Default)]
pub(crate) struct Report {
    pub(crate) text: String,
    /// Which exceptions there were, and how often.
    pub(crate) excepted: BTreeMap<usize, usize>,
    pub(crate) wrong: Vec<String>,
}
