//! The checks that need no state: they say the same of a batch whatever the collection holds.

use std::collections::HashMap;
use std::ops::Range;

use rayon::prelude::*;

use super::plan::aborted;
use super::{
    CollectionShape, Duplicates, Operation, OperationKind, Query, QueryInput, SearchRequest,
};
use super::{VectorRange, Vectors, WriteRequest};
use crate::error::{Error, ErrorCode, Result};
use crate::index::Metric;
use crate::kernels::float;
use crate::limits::{ID_BYTES_MAX, TEXT_BYTES_MAX};
use crate::metadata;
use crate::metadata::Metadata;

/// Fewest operations that are worth handing to a second thread.
const PARALLEL_OPERATIONS_MIN: usize = 256;

/// What the checks found, and what they made on the way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checked {
    /// One per operation, in request order.
    pub operations: Vec<CheckedOperation>,
    /// Indexes of the operations whose text must be embedded, ascending; see [`Checked::embed`].
    pub to_embed: Vec<usize>,
}

/// What the checks found about one operation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CheckedOperation {
    /// Why it fails whatever the collection holds.
    pub error: Option<Box<Error>>,
    /// A later operation of the batch takes its place (`duplicates: last_wins`).
    pub superseded: bool,
    /// The operation's own metadata as compact JSON; `None` where it gives none.
    pub metadata: Option<Vec<u8>>,
    /// The operation's vector: the given one, or its text's embedding once that is there.
    pub vector: Option<VectorRange>,
}

/// Checks every operation of a batch: shape, limits, numbers, ids, duplicates, groups.
///
/// # Errors
/// `INVALID_ARGUMENT` where an atomic batch has groups. All else is an error of one operation.
pub fn check(request: &WriteRequest, shape: &CollectionShape) -> Result<Checked> {
    check_no_group_if_atomic(request)?;
    let check_one = |operation| check_operation(operation, &request.vectors, shape);
    let mut operations: Vec<CheckedOperation> =
        if request.operations.len() < PARALLEL_OPERATIONS_MIN {
            request.operations.iter().map(check_one).collect()
        } else {
            request
                .operations
                .par_iter()
                .with_min_len(64)
                .map(check_one)
                .collect()
        };
    if request.is_plain() {
        check_duplicates(request, &mut operations);
    }
    check_groups_stand_together(request, &mut operations);
    let to_embed = (0..operations.len())
        .filter(|&index| needs_embedding(&request.operations[index], &operations[index]))
        .collect();
    Ok(Checked {
        operations,
        to_embed,
    })
}

/// Checks every query of a search against its collection; a bad one is marked as refused, and
/// where the search is atomic, so are all the others.
///
/// Returns the indexes of the queries whose text must be embedded, ascending.
pub fn check_search(request: &mut SearchRequest, shape: &CollectionShape) -> Vec<usize> {
    let mut to_embed = Vec::new();
    for (index, query) in request.queries.iter_mut().enumerate() {
        if query.refused.is_some() {
            continue;
        }
        match check_query(query, &request.vectors, shape) {
            Ok(true) => to_embed.push(index),
            Ok(false) => {}
            Err(error) => query.refused = Some(Box::new(error)),
        }
    }
    if abort_search(request) {
        to_embed.clear();
    }
    to_embed
}

/// Where a search is atomic and one of its queries is refused, refuses all the others; returns
/// whether it did.
pub fn abort_search(request: &mut SearchRequest) -> bool {
    let mut queries = request.queries.iter();
    let refused = queries.position(|query| query.refused.is_some());
    let (true, Some(cause)) = (request.atomic, refused) else {
        return false;
    };
    for query in &mut request.queries {
        query
            .refused
            .get_or_insert_with(|| Box::new(aborted(None, cause)));
    }
    true
}

/// Refuses a batch with more operations or queries than a limit allows.
///
/// # Errors
/// `BATCH_TOO_LARGE`.
pub fn check_batch_size(name: &str, limit: Option<usize>, actual: usize) -> Result<()> {
    match limit {
        Some(limit) if actual > limit => Err(Error::limit(
            ErrorCode::BatchTooLarge,
            name,
            limit,
            actual,
            "operations",
        )),
        _ => Ok(()),
    }
}

/// Checks the numbers of one vector: count, every one finite, a length that has a direction.
///
/// # Errors
/// `DIMENSION_MISMATCH` or `INVALID_VECTOR`.
pub fn check_vector(values: &[f32], shape: &CollectionShape) -> Result<()> {
    if values.is_empty() {
        return Err(
            Error::new(ErrorCode::InvalidVector, "Vector data cannot be empty")
                .with("field", "data"),
        );
    }
    if values.len() != shape.dimension {
        let message = format!(
            "data has {} numbers, the collection's dimension is {}",
            values.len(),
            shape.dimension
        );
        return Err(Error::new(ErrorCode::DimensionMismatch, message)
            .with("field", "data")
            .with("expected", shape.dimension)
            .with("actual", values.len()));
    }
    // A sum of squares is finite only where every number is.
    let squared_length = float::dot(values, values);
    if !squared_length.is_finite() {
        return Err(error_of_infinite(values));
    }
    // Below the smallest normal number a square has lost its digits, and the direction with them.
    if shape.metric == Metric::Cosine && squared_length < f32::MIN_POSITIVE {
        let message = "data is a zero vector, or too short for single precision: the cosine needs \
                       a direction";
        return Err(Error::new(ErrorCode::InvalidVector, message).with("field", "data"));
    }
    Ok(())
}

impl Checked {
    /// Gives the texts of [`Checked::to_embed`] their vectors: rows end to end, in that order.
    ///
    /// A row that its collection cannot hold fails its operation.
    ///
    /// # Errors
    /// `EMBEDDING_FAILED` where the count of numbers is not rows times dimension.
    pub fn embed(
        &mut self,
        vectors: &mut Vectors,
        rows: &[f32],
        shape: &CollectionShape,
    ) -> Result<()> {
        let expected = self.to_embed.len() * shape.dimension;
        if rows.len() != expected {
            let message = format!(
                "the embedder returned {} numbers for {} texts, expected {expected}",
                rows.len(),
                self.to_embed.len()
            );
            return Err(Error::new(ErrorCode::EmbeddingFailed, message)
                .with("expected", expected)
                .with("actual", rows.len()));
        }
        let rows = rows.chunks_exact(shape.dimension.max(1));
        for (index, row) in std::mem::take(&mut self.to_embed).into_iter().zip(rows) {
            let operation = &mut self.operations[index];
            if let Err(error) = check_vector(row, shape) {
                operation.error = Some(Box::new(error));
                continue;
            }
            operation.vector = Some(VectorRange {
                start: vectors.values.len(),
                len: row.len(),
            });
            vectors.values.extend_from_slice(row);
        }
        Ok(())
    }

    /// Fails every operation of [`Checked::to_embed`], for instance with `EMBEDDING_FAILED`.
    pub fn fail_embedding(&mut self, error: &Error) {
        for index in std::mem::take(&mut self.to_embed) {
            self.operations[index].error = Some(Box::new(error.clone()));
        }
    }
}

fn check_no_group_if_atomic(request: &WriteRequest) -> Result<()> {
    let grouped = request
        .operations
        .iter()
        .position(|operation| operation.group.is_some());
    match grouped {
        Some(index) if request.options.atomic => Err(Error::invalid(
            "group",
            format!("operation {index} has a group, which needs atomic: false"),
        )
        .with("index", index)),
        _ => Ok(()),
    }
}

fn check_operation(
    operation: &Operation,
    vectors: &Vectors,
    shape: &CollectionShape,
) -> CheckedOperation {
    let mut checked = CheckedOperation::default();
    if let Err(error) = fill_checked(&mut checked, operation, vectors, shape) {
        checked.error = Some(Box::new(error));
    }
    checked
}

fn fill_checked(
    checked: &mut CheckedOperation,
    operation: &Operation,
    vectors: &Vectors,
    shape: &CollectionShape,
) -> Result<()> {
    if let Some(refused) = &operation.refused {
        return Err((**refused).clone());
    }
    check_id(&operation.id)?;
    match &operation.kind {
        OperationKind::Insert {
            data,
            text,
            metadata,
            ..
        } => {
            if data.is_none() && text.is_none() {
                return Err(
                    Error::new(ErrorCode::InvalidVector, "data or text is needed")
                        .with("field", "data"),
                );
            }
            check_content(*data, text.as_deref(), vectors, shape)?;
            checked.metadata = metadata_bytes(metadata.as_ref())?;
            checked.vector = *data;
        }
        OperationKind::Update {
            data,
            text,
            metadata,
            ..
        } => {
            if data.is_none() && text.is_none() && metadata.is_none() {
                let message = "the update names nothing to change: data, text or metadata";
                return Err(Error::invalid("data", message));
            }
            check_content(*data, text.as_deref(), vectors, shape)?;
            checked.metadata = metadata_bytes(metadata.as_ref())?;
            checked.vector = *data;
        }
        OperationKind::Delete { .. } => {}
    }
    Ok(())
}

fn check_id(id: &str) -> Result<()> {
    if id.is_empty() {
        return Err(Error::new(ErrorCode::InvalidId, "id is empty").with("field", "id"));
    }
    if id.len() > ID_BYTES_MAX {
        return Err(Error::limit(
            ErrorCode::InvalidId,
            "id",
            ID_BYTES_MAX,
            id.len(),
            "bytes",
        ));
    }
    Ok(())
}

fn check_content(
    data: Option<VectorRange>,
    text: Option<&str>,
    vectors: &Vectors,
    shape: &CollectionShape,
) -> Result<()> {
    if let Some(range) = data {
        check_vector(vectors.get(range), shape)?;
    }
    let Some(text) = text else { return Ok(()) };
    if text.len() > TEXT_BYTES_MAX {
        return Err(Error::limit(
            ErrorCode::InvalidArgument,
            "text",
            TEXT_BYTES_MAX,
            text.len(),
            "bytes",
        ));
    }
    if data.is_none() && !shape.has_embedder {
        let message = "data is needed: the collection has no embedder for the text";
        return Err(Error::new(ErrorCode::InvalidVector, message).with("field", "data"));
    }
    Ok(())
}

fn metadata_bytes(metadata: Option<&Metadata>) -> Result<Option<Vec<u8>>> {
    metadata.map(metadata::check).transpose()
}

fn check_query(query: &Query, vectors: &Vectors, shape: &CollectionShape) -> Result<bool> {
    match &query.input {
        Some(QueryInput::Vector(range)) => {
            check_vector(vectors.get(*range), shape)?;
            Ok(false)
        }
        Some(QueryInput::Text(_)) if shape.has_embedder => Ok(true),
        Some(QueryInput::Text(_)) => {
            let message = "query_vector is needed: the collection has no embedder for query_text";
            Err(Error::new(ErrorCode::InvalidQuery, message).with("field", "query_vector"))
        }
        None => Err(Error::new(
            ErrorCode::InvalidQuery,
            "query_vector or query_text is needed",
        )
        .with("field", "query_vector")),
    }
}

/// Judged by the ids alone, so that what fails does not hang on why another operation failed.
fn check_duplicates(request: &WriteRequest, checked: &mut [CheckedOperation]) {
    let mut places: HashMap<&str, usize> = HashMap::with_capacity(checked.len());
    for (index, operation) in request.operations.iter().enumerate() {
        if check_id(&operation.id).is_err() {
            continue;
        }
        let Some(&earlier) = places.get(operation.id.as_str()) else {
            places.insert(&operation.id, index);
            continue;
        };
        if request.options.duplicates == Duplicates::LastWins {
            checked[earlier].superseded = true;
            places.insert(&operation.id, index);
        } else if checked[index].error.is_none() {
            let message = format!("the id stands at index {earlier} of the same batch already");
            let error = Error::new(ErrorCode::DuplicateId, message).with("first_index", earlier);
            checked[index].error = Some(Box::new(error));
        }
    }
}

/// A group that is torn apart could not land together: its later parts are refused, and the
/// part that stood first is aborted with them.
fn check_groups_stand_together(request: &WriteRequest, checked: &mut [CheckedOperation]) {
    let mut first_parts: HashMap<&str, Range<usize>> = HashMap::new();
    let mut start = 0;
    for part in request
        .operations
        .chunk_by(|left, right| left.group == right.group)
    {
        let range = start..start + part.len();
        start = range.end;
        let Some(group) = part[0].group.as_deref() else {
            continue;
        };
        let Some(first) = first_parts.get(group) else {
            first_parts.insert(group, range);
            continue;
        };
        let message = format!(
            "the group began at index {} and was left since",
            first.start
        );
        let torn = Error::invalid("group", message).with("first_index", first.start);
        fail_each(checked, range.clone(), &torn);
        fail_each(checked, first.clone(), &aborted(Some(group), range.start));
    }
}

/// Fails the operations of a range that have no error of their own.
fn fail_each(checked: &mut [CheckedOperation], range: Range<usize>, error: &Error) {
    for operation in &mut checked[range] {
        operation
            .error
            .get_or_insert_with(|| Box::new(error.clone()));
    }
}

fn needs_embedding(operation: &Operation, checked: &CheckedOperation) -> bool {
    operation.text().is_some()
        && checked.vector.is_none()
        && checked.error.is_none()
        && !checked.superseded
}

/// The error of a vector whose sum of squares is not finite: one of its numbers is not, or all
/// are and their squares leave single precision, in which every score would be lost.
fn error_of_infinite(values: &[f32]) -> Error {
    let Some(position) = values.iter().position(|value| !value.is_finite()) else {
        let message = "data is too long a vector: the sum of its squares leaves single precision";
        return Error::new(ErrorCode::InvalidVector, message).with("field", "data");
    };
    let value = values[position].to_string();
    let message = format!("data[{position}] is {value}, every number must be finite");
    Error::new(ErrorCode::InvalidVector, message)
        .with("field", "data")
        .with("position", position)
        .with("value", value)
}

#[cfg(test)]
mod tests;
