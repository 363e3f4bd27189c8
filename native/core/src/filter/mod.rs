//! Conditions on metadata, and the bitmaps that answer them for all records at once.
//!
//! A filter is a JSON object. Each key is a field, with a value (equality) or an object of
//! operators; or a combinator. All keys of one object must hold.
//!
//! | notation | holds where |
//! |---|---|
//! | `{"a": 1}`, `{"a": {"$eq": 1}}` | some value of `a` equals the operand |
//! | `$gt`, `$gte`, `$lt`, `$lte` | some value of `a` has the operand's JSON type and that order |
//! | `$in: [..]` | some value of `a` equals one of the list |
//! | `$exists: true` | `a` is there, be it `null` or empty |
//! | `$ne`, `$nin`, `$exists: false`, `{"$not": {..}}` | exactly where the opposite does not |
//! | `{"$and": [..]}`, `{"$or": [..]}` | all, or at least one, of the filters hold |
//!
//! **Values.** A dot in a field steps into an object. A list stands for its elements, at every
//! step and at the end: `a.b` reaches both numbers of `{"a": [{"b": 1}, {"b": [2]}]}`. Two
//! operators on one field may therefore be met by two elements. A key that itself contains a dot
//! is stored, but no filter reaches it. Objects and empty lists are there, but have no value.
//!
//! **Comparison.** Operands are strings, numbers, booleans and `null`, and nothing equals or
//! orders across these types. Numbers compare as doubles (`1` is `1.0`, `-0.0` is `0`), strings
//! by their UTF-8 bytes; booleans and `null` have no order. `null` equals only `null`: a field
//! that is missing is not `null`.

mod changes;
mod condition;
mod index;
mod matches;
mod ordered_map;
mod parse;
mod posting;
mod scalar;
mod stored;
#[cfg(test)]
mod tests;

pub use changes::FilterChanges;
pub use condition::Filter;
pub use index::FilterIndex;
