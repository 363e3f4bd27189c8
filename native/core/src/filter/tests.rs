//! The index against the definition, the definition against written-out examples, and hostile
//! input against both parsers.

mod examples;
mod model;
mod refusals;
