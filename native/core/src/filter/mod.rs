//! Conditions on metadata.

/// A condition on metadata, parsed and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter;
