//! What `/status` shows: JSON for programs, a page for people.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// How many of the latest troubles are kept.
const KEPT: usize = 20;

/// A daemon's state at one moment: named sections, in the order in which they are shown.
#[derive(Clone, Debug, Default)]
pub struct Status(Vec<(&'static str, Section)>);

#[derive(Clone, Debug)]
enum Section {
    Fields(Vec<(&'static str, Value)>),
    Table { columns: Vec<&'static str>, rows: Vec<Vec<Value>> },
}

impl Status {
    /// Adds values by name.
    #[must_use]
    pub fn fields(mut self, name: &'static str, fields: Vec<(&'static str, Value)>) -> Self {
        self.0.push((name, Section::Fields(fields)));
        self
    }

    /// Adds rows of as many values as there are columns.
    #[must_use]
    pub fn table(
        mut self,
        name: &'static str,
        columns: &[&'static str],
        rows: Vec<Vec<Value>>,
    ) -> Self {
        self.0.push((name, Section::Table { columns: columns.to_vec(), rows }));
        self
    }

    /// As JSON: an object for fields, an array of objects for a table.
    #[must_use]
    pub fn json(&self) -> Value {
        let object = |names: &[&str], values: &[Value]| {
            let pairs = names.iter().map(|name| (*name).to_owned()).zip(values.iter().cloned());
            Value::Object(pairs.collect::<Map<_, _>>())
        };
        let sections = self.0.iter().map(|(name, section)| {
            let value = match section {
                Section::Fields(fields) => {
                    let (names, values): (Vec<&str>, Vec<Value>) = fields.iter().cloned().unzip();
                    object(&names, &values)
                }
                Section::Table { columns, rows } => {
                    rows.iter().map(|row| object(columns, row)).collect()
                }
            };
            ((*name).to_owned(), value)
        });
        Value::Object(sections.collect())
    }

    /// As a page that renews itself.
    #[must_use]
    pub fn page(&self, title: &str) -> String {
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"refresh\" content=\"10\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n",
            title = Escaped(title)
        );
        for (name, section) in &self.0 {
            let _ = writeln!(page, "<h2>{}</h2>", words(name));
            match section {
                Section::Fields(fields) => {
                    let _ = writeln!(page, "<table id=\"{name}\">");
                    for (name, value) in fields {
                        let _ = writeln!(page, "<tr><th>{}</th>{}</tr>", words(name), Cell(value));
                    }
                    page.push_str("</table>\n");
                }
                Section::Table { rows, .. } if rows.is_empty() => {
                    let _ = writeln!(page, "<p id=\"{name}\">None.</p>");
                }
                Section::Table { columns, rows } => {
                    let _ = write!(page, "<table id=\"{name}\"><tr>");
                    for column in columns {
                        let _ = write!(page, "<th>{}</th>", words(column));
                    }
                    page.push_str("</tr>\n");
                    for row in rows {
                        page.push_str("<tr>");
                        for value in row {
                            let _ = write!(page, "{}", Cell(value));
                        }
                        page.push_str("</tr>\n");
                    }
                    page.push_str("</table>\n");
                }
            }
        }
        page.push_str("</body>\n</html>\n");
        page
    }
}

const STYLE: &str = "body{font:14px/1.4 system-ui,sans-serif;margin:2em;color-scheme:light dark}\
    table{border-collapse:collapse}th,td{text-align:left;padding:.2em .8em;\
    border-bottom:1px solid #8884}td.number{text-align:right;font-variant-numeric:tabular-nums}";

/// A name as people write it.
fn words(name: &str) -> String {
    name.replace('_', " ")
}

/// Text in HTML. What a router calls itself may hold anything.
struct Escaped<'t>(&'t str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                control if control.is_control() => write!(f, "{}", control.escape_default())?,
                plain => f.write_char(plain)?,
            }
        }
        Ok(())
    }
}

struct Cell<'v>(&'v Value);

impl std::fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Value::Null => f.write_str("<td></td>"),
            Value::Number(number) => write!(f, "<td class=\"number\">{number}</td>"),
            Value::String(text) => write!(f, "<td>{}</td>", Escaped(text)),
            other => write!(f, "<td>{}</td>", Escaped(&other.to_string())),
        }
    }
}

/// A moment as RFC 3339 has it; null for one that no calendar has.
#[must_use]
pub fn time(moment: SystemTime) -> Value {
    Timestamp::try_from(moment)
        .and_then(|moment| moment.round(jiff::Unit::Millisecond))
        .map_or(Value::Null, |moment| json!(moment.to_string()))
}

/// The latest troubles of a daemon. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Troubles(Arc<Mutex<VecDeque<Trouble>>>);

#[derive(Debug)]
struct Trouble {
    first: SystemTime,
    last: SystemTime,
    times: u64,
    subject: String,
    what: String,
}

impl Troubles {
    /// Notes one. The same again is counted.
    pub fn note(&self, subject: impl Into<String>, what: impl Into<String>) {
        let (subject, what, now) = (subject.into(), what.into(), SystemTime::now());
        let mut kept = self.lock();
        if let Some(known) = kept.iter_mut().find(|it| it.subject == subject && it.what == what) {
            known.last = now;
            known.times += 1;
            return;
        }
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Trouble { first: now, last: now, times: 1, subject, what });
    }

    /// The columns of [`Troubles::rows`].
    pub const COLUMNS: [&str; 5] = ["last", "times", "first", "subject", "what"];

    /// Those that are kept, the latest first.
    #[must_use]
    pub fn rows(&self) -> Vec<Vec<Value>> {
        let kept = self.lock();
        let mut kept: Vec<&Trouble> = kept.iter().collect();
        kept.sort_by_key(|trouble| std::cmp::Reverse(trouble.last));
        kept.into_iter()
            .map(|Trouble { first, last, times, subject, what }| {
                vec![time(*last), json!(times), time(*first), json!(subject), json!(what)]
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Trouble>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        Status::default()
            .fields("daemon", vec![("name", json!("a")), ("up_seconds", json!(7))])
            .table(
                "sessions",
                &["router", "messages"],
                vec![vec![json!("<b>\u{7}r1</b>"), json!(5)], vec![Value::Null, json!(6)]],
            )
            .table("troubles", &["what"], Vec::new())
    }

    #[test]
    fn programs_get_objects() {
        let expected = json!({
            "daemon": {"name": "a", "up_seconds": 7},
            "sessions": [
                {"router": "<b>\u{7}r1</b>", "messages": 5},
                {"router": null, "messages": 6}
            ],
            "troubles": [],
        });
        assert_eq!(status().json(), expected);
    }

    #[test]
    fn people_get_tables_in_which_no_text_is_markup() {
        let page = status().page("a & b");
        for part in [
            "<title>a &amp; b</title>",
            "<tr><th>up seconds</th><td class=\"number\">7</td></tr>",
            "<tr><td>&lt;b&gt;\\u{7}r1&lt;/b&gt;</td><td class=\"number\">5</td></tr>",
            "<tr><td></td><td class=\"number\">6</td></tr>",
            "<p id=\"troubles\">None.</p>",
        ] {
            assert!(page.contains(part), "{part}\n{page}");
        }
    }

    #[test]
    fn the_same_trouble_is_counted_and_the_oldest_forgotten() {
        let troubles = Troubles::default();
        troubles.note("r1", "lost");
        troubles.note("r1", "lost");
        assert_eq!(troubles.rows()[0][1], json!(2));
        for number in 0..KEPT {
            troubles.note(format!("r{number}"), "refused");
        }
        let rows = troubles.rows();
        assert_eq!(rows.len(), KEPT);
        assert!(rows.iter().all(|row| row[4] == "refused"));
    }
}
