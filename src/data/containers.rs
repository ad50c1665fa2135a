//! One JSON object that holds many rows: what hubs answer and export, tables by column, rows by name. Knows where rows
//! are, not what is in them.

use serde::Deserialize;
use serde::Deserializer;
use serde::de::MapAccess;
use serde::de::Visitor;
use serde_json::Map;
use serde_json::Value;
use std::fmt;

/// The fields of an object in the order of the file.
pub(super) struct Entries(pub(super) Vec<(String, Value)>);

/// Where hubs and tools put a list of rows.
const LISTS: &[&str] = &["rows", "data", "examples", "instances", "questions", "records", "items"];

impl Entries {
    /// The rows within, if this is not a row itself; `is_row` says of a value whether it is one.
    pub(super) fn rows(self, is_row: &dyn Fn(&Value) -> bool) -> Result<Vec<Value>, Value> {
        let whole = Value::Object(self.0.iter().cloned().collect());
        if is_row(&whole) {
            return Err(whole);
        }
        let list = LISTS.iter().find_map(|name| {
            let (_, value) = self.0.iter().find(|(field, _)| field.eq_ignore_ascii_case(name))?;
            value.as_array().cloned()
        });
        let found = list.or_else(|| self.by_name(is_row)).or_else(|| self.by_column(is_row));
        found.or_else(|| self.only_list()).ok_or(whole)
    }

    /// `{"example1": {...}, "example2": {...}}`, as ProntoQA is generated.
    fn by_name(&self, is_row: &dyn Fn(&Value) -> bool) -> Option<Vec<Value>> {
        let values: Vec<Value> = self.0.iter().map(|(_, value)| value.clone()).collect();
        let rows = values.iter().all(Value::is_object) && values.iter().any(is_row);
        rows.then_some(values)
    }

    /// `{"question": [...], "answer": [...]}`, and the same with objects by index, as tables are exported.
    fn by_column(&self, is_row: &dyn Fn(&Value) -> bool) -> Option<Vec<Value>> {
        let mut rows: Vec<Map<String, Value>> = Vec::new();
        for (name, column) in &self.0 {
            let cells: Vec<Value> = match column {
                Value::Array(cells) => cells.clone(),
                Value::Object(_) => {
                    let cell = |index: usize| column.get(index.to_string()).cloned();
                    (0..).map_while(cell).collect()
                }
                _ => return None,
            };
            if rows.is_empty() {
                rows.resize(cells.len(), Map::new());
            }
            if rows.len() != cells.len() {
                return None;
            }
            rows.iter_mut().zip(cells).for_each(|(row, cell)| {
                row.insert(name.clone(), cell);
            });
        }
        let rows: Vec<Value> = rows.into_iter().map(Value::Object).collect();
        rows.first().is_some_and(is_row).then_some(rows)
    }

    /// A list of objects under any name, if there is one and not several.
    fn only_list(&self) -> Option<Vec<Value>> {
        let lists = self.0.iter().filter_map(|(_, value)| value.as_array());
        let mut lists = lists.filter(|list| list.first().is_some_and(Value::is_object));
        let list = lists.next()?;
        lists.next().is_none().then(|| list.clone())
    }
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = fields.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}
