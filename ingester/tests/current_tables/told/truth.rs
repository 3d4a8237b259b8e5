//! What a scripted speaker sent to its router: `NAME.truth.tsv.zst`, a route a line. It has no
//! extended communities, though there are some.

use anyhow::{Result, bail};
use ribstream_interop::table::Fields;

use super::{PRE, Told, place};

pub(crate) fn table(text: &str, peer: &str, told: &mut Told) -> Result<()> {
    for line in text.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [prefix, path, origin, med, communities, large, atomic, aggregator] = columns[..]
        else {
            bail!("{line} has not eight columns");
        };
        let family = if prefix.contains(':') { "ipv6-unicast" } else { "ipv4-unicast" };
        let fields = Fields::from([
            ("origin", origin.to_lowercase()),
            ("as_path", path.to_owned()),
            ("med", med.to_owned()),
            ("local_pref", String::new()),
            ("communities", communities.to_owned()),
            ("large_communities", large.to_owned()),
            ("atomic_aggregate", if atomic == "AA" { "true".to_owned() } else { String::new() }),
            ("aggregator", aggregator.replacen(':', " ", 1)),
            ("path_id", String::new()),
        ]);
        told.route(&place(PRE, peer, family), prefix.to_owned(), fields);
    }
    Ok(())
}
