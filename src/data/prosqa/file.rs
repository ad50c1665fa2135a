//! The graphs of a file of questions, where it has them. Knows the published fields, not what is asked of a graph.

use crate::data::prosqa::record::Record;
use crate::files;
use serde_json::Deserializer;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The ProsQA questions of a JSON list or of JSON lines, by their row, from 1; rows that are none are left out, and so is a file
/// of another form.
pub fn records(path: &Path) -> BTreeMap<u64, Record> {
    let Ok(text) = files::read(path) else { return BTreeMap::new() };
    let values = Deserializer::from_str(&text).into_iter::<Value>().map_while(Result::ok);
    let rows = values.flat_map(|value| match value {
        Value::Array(rows) => rows,
        row => vec![row],
    });
    let graphs = (1..).zip(rows).filter_map(|(number, row)| {
        let record: Record = serde_json::from_value(row).ok()?;
        record.is_sound().then_some((number, record))
    });
    graphs.collect()
}
