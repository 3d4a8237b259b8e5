//! The `reading` column: what is unusual in how routes were read.

use ribstream_proto::{
    text,
    v1::{Overruled, RouteUpdate, Routes},
};
use serde_json::{Map, Value, json};

use super::attributes;

/// What is unusual in how the routes of a field were read, `None` where nothing is.
pub(super) fn notes(update: &RouteUpdate, routes: &Routes, announced: bool) -> Option<Value> {
    let mut notes = Map::new();
    if !update.overruled.is_empty() {
        let names: Vec<Value> = update.overruled.iter().map(|value| overruled(*value)).collect();
        notes.insert("overruled".to_owned(), names.into());
    }
    if update.asn_width == 2 {
        notes.insert("asn_width".to_owned(), 2.into());
    }
    if update.filtered {
        notes.insert("filtered".to_owned(), true.into());
    }
    if !matches!(routes.next_hop.len(), 0 | 4 | 16) {
        notes.insert("next_hop_raw".to_owned(), text::hex(&routes.next_hop).into());
    }
    if let Some(attributes) = update.attributes.as_ref().filter(|_| announced) {
        if let Some(path) = &attributes.as4_path {
            let mut printed = Vec::new();
            attributes::put_as_path(&mut printed, path);
            notes.insert("as4_path".to_owned(), String::from_utf8_lossy(&printed).into());
        }
        if let Some(aggregator) = &attributes.as4_aggregator {
            notes.insert("as4_aggregator".to_owned(), json!(aggregator));
        }
        if let Some(next_hop) = attributes.next_hop.as_ref().filter(|hop| **hop != routes.next_hop)
        {
            notes.insert("next_hop".to_owned(), text::address(next_hop).into());
        }
    }
    (!notes.is_empty()).then_some(Value::Object(notes))
}

fn overruled(value: i32) -> Value {
    Overruled::try_from(value).map_or_else(
        |_| value.into(),
        |known| {
            let name = known.as_str_name();
            let name = name.strip_prefix("OVERRULED_").unwrap_or(name);
            name.to_ascii_lowercase().replace('_', "-").into()
        },
    )
}
