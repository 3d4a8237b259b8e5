//! What the database holds: the rows of its current views, in the form of a command line's
//! tables.

use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use ribstream_interop::table::{Fields, Place};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use crate::told::{LOC_RIB, Routes};

/// What a row says of its path, in the order of [`ATTRIBUTES`].
const NAMES: [&str; 17] = [
    "path_id",
    "labels",
    "esi",
    "gateway",
    "label_fields",
    "next_hop",
    "origin",
    "as_path",
    "med",
    "local_pref",
    "communities",
    "large_communities",
    "extended_communities",
    "atomic_aggregate",
    "aggregator",
    "originator_id",
    "cluster_list",
];

/// The views, and of each the columns that only it has: what tells a route from others, then
/// labels, Ethernet segment, gateway and label fields.
const VIEWS: [(&str, &str); 3] = [
    (
        "current_routes",
        r"route_distinguisher || ' ', prefix, E'\t', path_id, E'\t',
            array_to_string(labels, ' '), E'\t\t\t'",
    ),
    // Routers print all 24 bits of a label's field. Of an MPLS label, which has a point behind
    // it here, they are more than the label.
    (
        "current_evpn_routes",
        r"case substring(nlri_text from '\[(\d+)\]')
                when '1' then concat('1 ', route_distinguisher, ' ', esi, ' ', ethernet_tag)
                when '2' then concat('2 ', route_distinguisher, ' ', ethernet_tag, ' ', mac, ' ',
                    coalesce(host(ip), '-'))
                when '3' then concat('3 ', route_distinguisher, ' ', ethernet_tag, ' ',
                    host(originator))
                when '4' then concat('4 ', route_distinguisher, ' ', esi, ' ', host(originator))
                when '5' then concat('5 ', route_distinguisher, ' ', ethernet_tag, ' ', prefix)
                else nlri_text
            end, E'\t', path_id, E'\t\t', esi, E'\t', host(gateway), E'\t',
            concat_ws(' ', array_to_string(vnis, ' '),
                (select string_agg(label || '.', ' ' order by place)
                 from unnest(labels) with ordinality as labels (label, place)))",
    ),
    ("current_other_routes", r"encode(nlri, 'hex'), E'\t', path_id, E'\t\t\t\t'"),
];

const ATTRIBUTES: &str = r"host(next_hop), E'\t', origin, E'\t', as_path, E'\t', med, E'\t',
    local_pref, E'\t', array_to_string(communities, ' '), E'\t',
    array_to_string(large_communities, ' '), E'\t', array_to_string(extended_communities, ' '),
    E'\t', case when atomic_aggregate then 'true' end, E'\t',
    aggregator_asn || ' ' || host(aggregator_address), E'\t', host(originator_id), E'\t',
    array_to_string(cluster_list, ' ')";

/// What tells the table of a row from others.
const NUMBERS: &str = "peer_id, ',', view, ',', afi, ',', safi";

/// How many rows are fetched at once.
const PAGE: usize = 20_000;

/// Every table that the views have of a router.
pub(crate) async fn tables(url: &str, router: &str) -> BTreeMap<Place, Routes> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let mut all = BTreeMap::new();
    for (view, own) in VIEWS {
        let mut held = Held::default();
        // Names cost a call of a function each: they are asked for once a table.
        let rows = format!(
            r"select concat({NUMBERS}, E'\n', {own}, E'\t', {ATTRIBUTES})
            from {view} where router = '{router}'"
        );
        let mut transaction = connection.begin().await.unwrap();
        let declare = format!("declare rows no scroll cursor for {rows}");
        sqlx::raw_sql(AssertSqlSafe(declare)).execute(&mut *transaction).await.unwrap();
        loop {
            let fetch = sqlx::query(AssertSqlSafe(format!("fetch {PAGE} from rows")));
            let page = fetch.fetch_all(&mut *transaction).await.unwrap();
            for row in &page {
                held.add(row.get(0));
            }
            if page.len() < PAGE {
                break;
            }
        }
        transaction.rollback().await.unwrap();
        for (numbers, routes) in held.tables {
            let name = format!(
                "select coalesce(host(peer), '{LOC_RIB}') \
                     || coalesce(' ' || nullif(nullif(loc_rib_name, 'global'), 'default'), '') \
                     || coalesce(' ' || nullif(distinguisher, '0'), ''), rib_view, family \
                 from {view} where (peer_id, view, afi, safi) = ({numbers}) limit 1"
            );
            let name = sqlx::query(AssertSqlSafe(name)).fetch_one(&mut connection).await.unwrap();
            let place = crate::told::place(name.get(1), name.get(0), name.get(2));
            assert!(
                all.insert(place, routes).is_none(),
                "{view} {numbers} has the name of another"
            );
        }
    }
    connection.close().await.unwrap();
    all
}

/// How many rows the views have of a router.
pub(crate) async fn count(url: &str, router: &str) -> i64 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let counts =
        VIEWS.map(|(view, _)| format!("(select count(*) from {view} where router = '{router}')"));
    let sql = format!("select {}", counts.join(" + "));
    let count = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut connection).await.unwrap().get(0);
    connection.close().await.unwrap();
    count
}

/// Rows as they come, of which most have the attributes of others.
#[derive(Default)]
struct Held {
    tables: HashMap<String, Routes>,
    attributes: HashMap<String, Rc<Fields>>,
}

impl Held {
    fn add(&mut self, row: &str) {
        let (numbers, route) = row.split_once('\n').expect("a table and a route");
        let (key, attributes) = route.split_once('\t').expect("a key and attributes");
        let fields = self.attributes.get(attributes).cloned().unwrap_or_else(|| {
            let values = attributes.split('\t').map(str::to_owned);
            let fields: Rc<Fields> = Rc::new(NAMES.into_iter().zip(values).collect());
            assert_eq!(fields.len(), NAMES.len(), "{attributes}");
            self.attributes.insert(attributes.to_owned(), Rc::clone(&fields));
            fields
        });
        if !self.tables.contains_key(numbers) {
            self.tables.insert(numbers.to_owned(), Routes::new());
        }
        let table = self.tables.get_mut(numbers).expect("it is there now");
        table.entry(key.into()).or_default().push(fields);
    }
}
