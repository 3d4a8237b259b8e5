//! What the database says, by compose/interop.sql.

use anyhow::{Context, Result};
use serde_json::Value;
use sqlx::{Connection, PgConnection};

use crate::table::{Fields, Place, Tables};

const CURRENT: &str = include_str!("../../interop.sql");

/// What is current, and the path identifiers beside it.
pub(crate) struct Current {
    pub(crate) tables: Tables,
    pub(crate) path_ids: Vec<(Place, String)>,
}

/// Every table as the history has it.
pub(crate) async fn current(url: &str) -> Result<Current> {
    let mut connection = PgConnection::connect(url).await.context("the database")?;
    let rows: Vec<(String, String, String, String, Value)> =
        sqlx::query_as(CURRENT).fetch_all(&mut connection).await?;
    connection.close().await?;
    let mut current = Current { tables: Tables::default(), path_ids: Vec::new() };
    for (router, peer, view, family, row) in rows {
        let place = Place { router, peer, view, family };
        let (key, fields) = route(&place.family, &row);
        if !row["path_id"].is_null() {
            let path = format!("{} {key} {}", row["path_id"], fields["next_hop"]);
            current.path_ids.push((place.clone(), path));
        }
        current.tables.at(place).entry(key).or_default().push(fields);
    }
    Ok(current)
}

fn route(family: &str, row: &Value) -> (String, Fields) {
    let text = |name: &str| match &row[name] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items = items
                .iter()
                .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned));
            items.collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    };
    let or_none = |name: &str| {
        let text = text(name);
        if text.is_empty() { "-".to_owned() } else { text }
    };
    let names = [
        "origin",
        "as_path",
        "med",
        "local_pref",
        "communities",
        "large_communities",
        "next_hop",
        "labels",
        "esi",
        "gateway",
    ];
    let mut fields: Fields = names.into_iter().map(|name| (name, text(name))).collect();
    fields.insert("extended_communities", text("extended_communities"));
    let rd = text("route_distinguisher");
    let key = match family {
        "evpn" => {
            fields.insert("label_fields", label_fields(row));
            let (tag, esi) = (text("ethernet_tag"), text("esi"));
            let route_type = row["route_type"].as_u64();
            match route_type.unwrap_or_default() {
                1 => format!("1 {rd} {esi} {tag}"),
                2 => format!("2 {rd} {tag} {} {}", text("mac"), or_none("ip")),
                3 => format!("3 {rd} {tag} {}", text("originator")),
                4 => format!("4 {rd} {esi} {}", text("originator")),
                5 => format!("5 {rd} {tag} {}", text("prefix")),
                other => format!("{other} {}", text("nlri_text")),
            }
        }
        _ if row["prefix"].is_null() => text("nlri").trim_start_matches("\\x").to_owned(),
        _ if rd.is_empty() => text("prefix"),
        _ => format!("{rd} {}", text("prefix")),
    };
    (key, fields)
}

/// The label fields of an EVPN route as the 24 bit numbers that command lines print: a virtual
/// network's identifier is one, of an MPLS label they are the high 20 bits.
fn label_fields(row: &Value) -> String {
    let numbers = |name: &str| row[name].as_array().map(Vec::as_slice).unwrap_or_default().to_vec();
    let vnis = numbers("vnis").into_iter().filter_map(|vni| vni.as_u64());
    let labels = numbers("labels").into_iter().filter_map(|label| label.as_u64());
    let fields = vnis.map(|vni| vni.to_string()).chain(labels.map(|label| format!("{label}.")));
    fields.collect::<Vec<_>>().join(" ")
}
