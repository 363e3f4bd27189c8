//! What a filter means, for one record: the definition that the index must agree with.

use std::cmp::Ordering;

use serde_json::Value;

use super::condition::{Comparison, Condition, Filter};
use crate::metadata::Metadata;

impl Filter {
    /// Whether the filter holds for a record with this metadata.
    pub fn matches(&self, metadata: &Metadata) -> bool {
        holds(&self.root, metadata)
    }
}

fn holds(condition: &Condition, metadata: &Metadata) -> bool {
    match condition {
        Condition::All(conditions) => conditions.iter().all(|inner| holds(inner, metadata)),
        Condition::Any(conditions) => conditions.iter().any(|inner| holds(inner, metadata)),
        Condition::Not(inner) => !holds(inner, metadata),
        Condition::Exists { path } => any_at(metadata, path, &mut |_| true),
        Condition::In { path, values } => any_value_at(metadata, path, &mut |value| {
            values
                .iter()
                .any(|operand| operand.compare(value) == Some(Ordering::Equal))
        }),
        Condition::Compare {
            path,
            comparison,
            operand,
        } => any_value_at(metadata, path, &mut |value| {
            operand
                .compare(value)
                .is_some_and(|order| comparison.accepts(order))
        }),
    }
}

impl Comparison {
    /// Whether a value with this order to the operand is on the accepted side.
    fn accepts(self, order: Ordering) -> bool {
        match self {
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
        }
    }
}

/// Whether the test accepts anything that stands at a path, lists as a whole.
fn any_at(object: &Metadata, path: &str, test: &mut impl FnMut(&Value) -> bool) -> bool {
    match path.split_once('.') {
        None => object.get(path).is_some_and(test),
        Some((key, rest)) => object
            .get(key)
            .is_some_and(|value| any_object(value, &mut |inner| any_at(inner, rest, test))),
    }
}

/// Whether the test accepts a value at a path, where lists stand for their elements.
fn any_value_at(object: &Metadata, path: &str, test: &mut impl FnMut(&Value) -> bool) -> bool {
    any_at(object, path, &mut |value| any_element(value, test))
}

fn any_element(value: &Value, test: &mut impl FnMut(&Value) -> bool) -> bool {
    match value {
        Value::Array(list) => list.iter().any(|element| any_element(element, test)),
        value => test(value),
    }
}

fn any_object(value: &Value, test: &mut impl FnMut(&Metadata) -> bool) -> bool {
    any_element(value, &mut |element| {
        element.as_object().is_some_and(&mut *test)
    })
}
