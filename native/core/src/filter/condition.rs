//! A filter after parsing: a tree in one canonical form.

use super::scalar::Scalar;

/// A condition on metadata, parsed and checked.
///
/// Filters that differ only in the order or repetition of conditions, or in notation (`{"a": 1}`
/// and `{"a": {"$eq": 1.0}}`), are equal and hash alike, so that a batch of queries can evaluate
/// each distinct one once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Filter {
    pub(super) root: Condition,
}

/// One node of the tree.
///
/// The order of the variants is the order in which the parts of a conjunction are evaluated: the
/// cheapest first, since each part only looks at what the ones before it left.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Condition {
    /// Some value at the path is one of these; sorted, without repetition.
    In { path: Box<str>, values: Vec<Scalar> },
    /// The path is there.
    Exists { path: Box<str> },
    /// Some value at the path is of the operand's type and beyond the operand.
    Compare {
        path: Box<str>,
        comparison: Comparison,
        operand: Scalar,
    },
    /// At least one holds; sorted, without repetition.
    Any(Vec<Condition>),
    /// All hold; sorted, without repetition. Empty: always.
    All(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
}

/// Which side of its operand a comparison accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Comparison {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Comparison {
    /// Whether larger values are accepted.
    pub(super) fn is_above(self) -> bool {
        matches!(self, Comparison::Greater | Comparison::GreaterOrEqual)
    }
}

impl Condition {
    /// All of the conditions, in canonical form.
    pub(super) fn all(conditions: Vec<Condition>) -> Condition {
        let flat = conditions
            .into_iter()
            .flat_map(|condition| match condition {
                Condition::All(inner) => inner,
                other => vec![other],
            });
        Condition::combined(flat.collect(), Condition::All)
    }

    /// At least one of the conditions, in canonical form.
    pub(super) fn any(conditions: Vec<Condition>) -> Condition {
        let flat = conditions
            .into_iter()
            .flat_map(|condition| match condition {
                Condition::Any(inner) => inner,
                other => vec![other],
            });
        Condition::combined(flat.collect(), Condition::Any)
    }

    /// The complement of the condition.
    pub(super) fn negated(condition: Condition) -> Condition {
        match condition {
            Condition::Not(inner) => *inner,
            other => Condition::Not(Box::new(other)),
        }
    }

    fn combined(mut list: Vec<Condition>, of: fn(Vec<Condition>) -> Condition) -> Condition {
        list.sort_unstable();
        list.dedup();
        match list.len() {
            1 => list.remove(0),
            _ => of(list),
        }
    }
}
