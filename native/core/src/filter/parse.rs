//! From JSON to a checked filter.

use serde_json::Value;

use super::condition::{Comparison, Condition, Filter};
use super::scalar::Scalar;
use crate::error::{Error, ErrorCode, Result};
use crate::limits::{
    FILTER_CONDITIONS_MAX, FILTER_DEPTH_MAX, FILTER_PATH_BYTES_MAX, FILTER_RANGE_BYTES_MAX,
    FILTER_VALUES_MAX, INTEGER_MAGNITUDE_MAX,
};
use crate::metadata::{Pointer, is_exact};

impl Filter {
    /// Checks a filter in its JSON form and brings it into canonical form.
    ///
    /// `{}` holds for every record. `INVALID_FILTER` for anything that is not in the
    /// [notation](super), and beyond [`FILTER_DEPTH_MAX`], [`FILTER_CONDITIONS_MAX`],
    /// [`FILTER_VALUES_MAX`], [`FILTER_PATH_BYTES_MAX`], [`FILTER_RANGE_BYTES_MAX`] and
    /// [`INTEGER_MAGNITUDE_MAX`]. Its `field` is the offender's JSON pointer from the query down
    /// (`/filters/$or/1/year/$gt`), beside `expected` and `actual`, or `limit` and `actual`.
    pub fn parse(value: &Value) -> Result<Filter> {
        let mut parser = Parser { conditions: 0 };
        let root = parser.filter(value, 0, &Pointer::root("filters"))?;
        Ok(Filter { root })
    }
}

struct Parser {
    /// Count of conditions met so far.
    conditions: usize,
}

impl Parser {
    /// Parses the filter object inside of `depth` combinators.
    fn filter(&mut self, value: &Value, depth: usize, pointer: &Pointer) -> Result<Condition> {
        let Value::Object(object) = value else {
            return Err(unexpected(pointer, "a filter object", value));
        };
        let mut parts = Vec::with_capacity(object.len());
        for (key, operand) in object {
            let pointer = &pointer.key(key);
            match key.as_str() {
                "$and" => parts.push(Condition::all(self.list(operand, depth, pointer)?)),
                "$or" => parts.push(Condition::any(self.list(operand, depth, pointer)?)),
                "$not" => {
                    let inner = self.nested(operand, depth, pointer, pointer)?;
                    parts.push(Condition::negated(inner));
                }
                path => self.field(path, operand, pointer, &mut parts)?,
            }
        }
        Ok(Condition::all(parts))
    }

    /// Parses the filters of one combinator.
    fn list(&mut self, value: &Value, depth: usize, pointer: &Pointer) -> Result<Vec<Condition>> {
        match value.as_array() {
            Some(list) if !list.is_empty() => list
                .iter()
                .enumerate()
                .map(|(place, value)| self.nested(value, depth, pointer, &pointer.place(place)))
                .collect(),
            _ => Err(unexpected(pointer, "a list of at least one filter", value)),
        }
    }

    fn nested(
        &mut self,
        value: &Value,
        depth: usize,
        combinator: &Pointer,
        pointer: &Pointer,
    ) -> Result<Condition> {
        check_limit(combinator, FILTER_DEPTH_MAX, depth + 1, "levels")?;
        self.filter(value, depth + 1, pointer)
    }

    /// Parses the conditions on one field.
    fn field(
        &mut self,
        path: &str,
        operand: &Value,
        pointer: &Pointer,
        parts: &mut Vec<Condition>,
    ) -> Result<()> {
        check_path(path, pointer)?;
        let Value::Object(operators) = operand else {
            self.count(pointer)?;
            let expected = "a string, number, boolean or null, or an object of operators; \
                            one of several values is {\"$in\": [..]}";
            let values = vec![scalar(operand, expected, pointer)?];
            parts.push(Condition::In {
                path: path.into(),
                values,
            });
            return Ok(());
        };
        if operators.is_empty() {
            return Err(unexpected(
                pointer,
                "a value, or at least one operator",
                operand,
            ));
        }
        for (operator, operand) in operators {
            let pointer = &pointer.key(operator);
            self.count(pointer)?;
            parts.push(condition(path, operator, operand, pointer)?);
        }
        Ok(())
    }

    fn count(&mut self, pointer: &Pointer) -> Result<()> {
        self.conditions += 1;
        check_limit(
            pointer,
            FILTER_CONDITIONS_MAX,
            self.conditions,
            "conditions",
        )
    }
}

/// One operator and its operand on one field.
fn condition(path: &str, operator: &str, operand: &Value, pointer: &Pointer) -> Result<Condition> {
    let path: Box<str> = path.into();
    let compare = |path, comparison| {
        let operand = range_operand(operand, pointer)?;
        Ok(Condition::Compare {
            path,
            comparison,
            operand,
        })
    };
    let equal = |path| {
        let expected = "a string, number, boolean or null";
        Ok(Condition::In {
            path,
            values: vec![scalar(operand, expected, pointer)?],
        })
    };
    let one_of = |path| {
        Ok(Condition::In {
            path,
            values: scalars(operand, pointer)?,
        })
    };
    match operator {
        "$eq" => equal(path),
        "$ne" => equal(path).map(Condition::negated),
        "$in" => one_of(path),
        "$nin" => one_of(path).map(Condition::negated),
        "$gt" => compare(path, Comparison::Greater),
        "$gte" => compare(path, Comparison::GreaterOrEqual),
        "$lt" => compare(path, Comparison::Less),
        "$lte" => compare(path, Comparison::LessOrEqual),
        "$exists" => match operand {
            Value::Bool(true) => Ok(Condition::Exists { path }),
            Value::Bool(false) => Ok(Condition::negated(Condition::Exists { path })),
            _ => Err(unexpected(pointer, "true or false", operand)),
        },
        "$and" | "$or" | "$not" => Err(refused(
            pointer,
            &format!("{operator} around the field, as {{\"{operator}\": ..{{\"{path}\": ..}}..}}"),
            operator,
        )),
        _ if operator.starts_with('$') => Err(refused(
            pointer,
            "$eq, $ne, $gt, $gte, $lt, $lte, $in, $nin or $exists",
            operator,
        )),
        _ => Err(refused(
            pointer,
            &format!("an operator; a field of an object is \"{path}.{operator}\""),
            operator,
        )),
    }
}

fn scalar(value: &Value, expected: &str, pointer: &Pointer) -> Result<Scalar> {
    match value {
        Value::Number(number) if !is_exact(number) => Err(Error::new(
            ErrorCode::InvalidFilter,
            format!("{pointer} is {number}: integers go up to {INTEGER_MAGNITUDE_MAX} either way"),
        )
        .with("field", pointer.to_string())
        .with("limit", INTEGER_MAGNITUDE_MAX)
        .with("actual", value.clone())),
        _ => Scalar::of(value).ok_or_else(|| unexpected(pointer, expected, value)),
    }
}

/// The values of an `$in` or `$nin`, sorted and without repetition; none at all is allowed.
fn scalars(value: &Value, pointer: &Pointer) -> Result<Vec<Scalar>> {
    let Value::Array(list) = value else {
        return Err(unexpected(pointer, "a list of values", value));
    };
    check_limit(pointer, FILTER_VALUES_MAX, list.len(), "values")?;
    let expected = "a string, number, boolean or null";
    let mut values = list
        .iter()
        .enumerate()
        .map(|(place, value)| scalar(value, expected, &pointer.place(place)))
        .collect::<Result<Vec<Scalar>>>()?;
    values.sort_unstable();
    values.dedup();
    Ok(values)
}

fn range_operand(value: &Value, pointer: &Pointer) -> Result<Scalar> {
    if let Value::String(value) = value {
        check_limit(pointer, FILTER_RANGE_BYTES_MAX, value.len(), "bytes")?;
    }
    match scalar(value, "a number or string", pointer)? {
        Scalar::Null | Scalar::Boolean(_) => Err(unexpected(pointer, "a number or string", value)),
        operand => Ok(operand),
    }
}

fn check_path(path: &str, pointer: &Pointer) -> Result<()> {
    if path.starts_with('$') {
        return Err(refused(pointer, "a field, $and, $or or $not", path));
    }
    if path.split('.').any(|key| key.starts_with('$')) {
        return Err(refused(
            pointer,
            "a field without a key that begins with $",
            path,
        ));
    }
    check_limit(pointer, FILTER_PATH_BYTES_MAX, path.len(), "bytes")
}

fn check_limit(pointer: &Pointer, limit: usize, actual: usize, unit: &'static str) -> Result<()> {
    if actual > limit {
        let field = pointer.to_string();
        return Err(Error::limit(
            ErrorCode::InvalidFilter,
            &field,
            limit,
            actual,
            unit,
        ));
    }
    Ok(())
}

fn unexpected(pointer: &Pointer, expected: &str, value: &Value) -> Error {
    let actual = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(list) if list.is_empty() => "an empty list",
        Value::Array(_) => "a list",
        Value::Object(object) if object.is_empty() => "an empty object",
        Value::Object(_) => "an object",
    };
    refused(pointer, expected, actual)
}

fn refused(pointer: &Pointer, expected: &str, actual: &str) -> Error {
    Error::new(
        ErrorCode::InvalidFilter,
        format!("{pointer}: expected {expected}, got {actual}"),
    )
    .with("field", pointer.to_string())
    .with("expected", expected)
    .with("actual", actual)
}
