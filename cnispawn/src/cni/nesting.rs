//! How deep JSON that others have written may be nested.
//!
//! serde_json reads 127 levels. The text becomes part of a record, a cache file and a plugin's configuration, a few
//! levels down, and must be readable there: without a readable record, a container could not be undone.

use serde_json::Value;

/// The levels that are accepted.
pub(super) const MOST: usize = 100;

/// Whether a value has more levels.
pub(super) fn is_too_deep(value: &Value) -> bool {
    exceeds(value, MOST)
}

fn exceeds(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(values) => levels == 0 || values.iter().any(|value| exceeds(value, levels - 1)),
        Value::Object(fields) => levels == 0 || fields.values().any(|value| exceeds(value, levels - 1)),
        _ => false,
    }
}
