//! Write batches: lists of elements, or columns beside a block.

use rayon::prelude::*;

use super::admission::{self, Admit};
use super::block::Block;
use super::elements::{self, Desk};
use super::fields::{Fields, missing};
use super::raw::Raw;
use super::request::Request;
use super::value;
use crate::batch::{
    Duplicates, Level, MetadataMode, Missing, OnConflict, Operation, OperationKind, OutcomeDetail,
    StreamPart, VectorRange, WriteOptions, WriteRequest, WriteVerb,
};
use crate::error::{Error, ErrorCode, Result};
use crate::limits::{IDEMPOTENCY_KEY_BYTES_MAX, STREAM_ID_BYTES_MAX};
use crate::metadata::Metadata;

const ON_CONFLICT: [(&str, OnConflict); 3] = [
    ("error", OnConflict::Error),
    ("replace", OnConflict::Replace),
    ("skip", OnConflict::Skip),
];
const METADATA_MODE: [(&str, MetadataMode); 2] = [
    ("merge", MetadataMode::Merge),
    ("replace", MetadataMode::Replace),
];
const MISSING: [(&str, Missing); 2] = [("error", Missing::Error), ("ignore", Missing::Ignore)];
const DUPLICATES: [(&str, Duplicates); 2] = [
    ("reject", Duplicates::Reject),
    ("last_wins", Duplicates::LastWins),
];
const WAIT_FOR: [(&str, Level); 3] = [
    ("durable", Level::Durable),
    ("applied", Level::Applied),
    ("indexed", Level::Indexed),
];
const OUTCOMES: [(&str, OutcomeDetail); 2] = [
    ("failures", OutcomeDetail::Failures),
    ("all", OutcomeDetail::All),
];

/// The kind of operation that an element is, with what the batch or the element says of it.
#[derive(Clone, Copy)]
enum Rule {
    Insert(OnConflict),
    Update(MetadataMode),
    Delete(Missing),
}

pub(super) fn decode<'a>(
    verb: WriteVerb,
    fields: &mut Fields<'a>,
    block: &mut Block,
    defaults: &WriteOptions,
    admit: Admit<'_>,
) -> Result<Request> {
    let collection = fields.collection()?;
    let options = options(verb, fields, defaults)?;
    let limit = options.batch_size_limit;
    let mut admitted = |list: Raw<'a>| admission::elements(list, &collection, limit, admit);
    let operations = match verb {
        WriteVerb::Insert => {
            let rule = Rule::Insert(on_conflict(fields)?);
            vectors_or_columns("vectors", rule, fields, block, admitted)?
        }
        WriteVerb::Update => {
            let rule = Rule::Update(metadata_mode(fields)?);
            vectors_or_columns("updates", rule, fields, block, admitted)?
        }
        WriteVerb::Delete => deletes(fields, admitted)?,
        WriteVerb::Mixed => {
            let list = fields.list("operations")?;
            let list = list.ok_or_else(|| missing("operations"))?;
            elements(&admitted(list)?, None, fields, block)?
        }
    };
    let request = WriteRequest {
        verb,
        operations,
        vectors: block.take(),
        options,
    };
    Ok(Request::Write {
        collection,
        request,
    })
}

fn options(
    verb: WriteVerb,
    fields: &mut Fields<'_>,
    defaults: &WriteOptions,
) -> Result<WriteOptions> {
    // In a mixed batch an id may stand twice: there is no rule to choose.
    let duplicates = match verb {
        WriteVerb::Mixed => None,
        _ => fields.word("duplicates", &DUPLICATES)?,
    };
    Ok(WriteOptions {
        atomic: fields.boolean("atomic")?.unwrap_or(defaults.atomic),
        batch_size_limit: batch_size_limit(fields)?,
        duplicates: duplicates.unwrap_or_default(),
        validate_only: fields.boolean("validate_only")?.unwrap_or_default(),
        wait_for: fields.word("wait_for", &WAIT_FOR)?.unwrap_or_default(),
        outcomes: fields.word("outcomes", &OUTCOMES)?.unwrap_or_default(),
        idempotency_key: name(fields, "idempotency_key", IDEMPOTENCY_KEY_BYTES_MAX)?,
        stream: stream(fields)?,
        stage: fields.integer("stage")?,
    })
}

/// `stream_id` and `offset` belong together.
fn stream(fields: &mut Fields<'_>) -> Result<Option<StreamPart>> {
    let stream_id = name(fields, "stream_id", STREAM_ID_BYTES_MAX)?;
    let offset = fields.integer("offset")?;
    match (stream_id, offset) {
        (Some(stream_id), Some(offset)) => Ok(Some(StreamPart { stream_id, offset })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(missing("offset")),
        (None, Some(_)) => Err(missing("stream_id")),
    }
}

pub(super) fn batch_size_limit(fields: &mut Fields<'_>) -> Result<Option<usize>> {
    match fields.integer("batch_size_limit")? {
        Some(0) => {
            let message = "`batch_size_limit` is 0, expected at least 1";
            Err(Error::invalid("batch_size_limit", message))
        }
        limit => Ok(limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX))),
    }
}

/// A name of the caller's: any string that is neither empty nor too long.
pub(super) fn name(
    fields: &mut Fields<'_>,
    field: &'static str,
    bytes_max: usize,
) -> Result<Option<String>> {
    let name = fields.string(field, ErrorCode::InvalidArgument)?;
    match &name {
        Some(name) if name.is_empty() => Err(Error::invalid(field, format!("`{field}` is empty"))),
        Some(name) if name.len() > bytes_max => Err(Error::limit(
            ErrorCode::InvalidArgument,
            field,
            bytes_max,
            name.len(),
            "bytes",
        )),
        _ => Ok(name),
    }
}

fn on_conflict(fields: &mut Fields<'_>) -> Result<OnConflict> {
    Ok(fields
        .word("on_conflict", &ON_CONFLICT)?
        .unwrap_or_default())
}

fn metadata_mode(fields: &mut Fields<'_>) -> Result<MetadataMode> {
    Ok(fields
        .word("metadata_mode", &METADATA_MODE)?
        .unwrap_or_default())
}

fn missing_rule(fields: &mut Fields<'_>) -> Result<Missing> {
    Ok(fields.word("missing", &MISSING)?.unwrap_or_default())
}

fn deletes<'a>(
    fields: &mut Fields<'a>,
    admitted: impl FnOnce(Raw<'a>) -> Result<Vec<Raw<'a>>>,
) -> Result<Vec<Operation>> {
    let rule = Rule::Delete(missing_rule(fields)?);
    let ids = fields
        .list("vector_ids")?
        .ok_or_else(|| missing("vector_ids"))?;
    Ok(admitted(ids)?
        .into_iter()
        .map(|raw| column_operation(rule, raw, |_| Ok(())))
        .collect())
}

fn vectors_or_columns<'a>(
    list: &'static str,
    rule: Rule,
    fields: &mut Fields<'a>,
    block: &mut Block,
    admitted: impl FnOnce(Raw<'a>) -> Result<Vec<Raw<'a>>>,
) -> Result<Vec<Operation>> {
    match (fields.list(list)?, fields.list("ids")?) {
        (Some(raws), None) => elements(&admitted(raws)?, Some(rule), fields, block),
        (None, Some(ids)) => columns(&admitted(ids)?, rule, fields, block),
        (None, None) => Err(missing(list)),
        (Some(_), Some(_)) => Err(Error::invalid(
            "ids",
            format!("`{list}` and `ids` exclude each other"),
        )),
    }
}

/// Operations as columns: ids, texts and metadata of equal length, vectors in the block.
fn columns<'a>(
    ids: &[Raw<'a>],
    rule: Rule,
    fields: &mut Fields<'a>,
    block: &mut Block,
) -> Result<Vec<Operation>> {
    let texts = column("texts", ids.len(), fields)?;
    let metadata = column("metadata", ids.len(), fields)?;
    let rows = block.cut(fields, ids.len())?;
    let operation = |(index, raw): (usize, &Raw<'a>)| {
        column_operation(rule, *raw, |kind| {
            let Some(parts) = Parts::of(kind) else {
                return Ok(());
            };
            *parts.data = rows.get(index);
            *parts.text = entry(&texts, index)
                .map(|raw| value::string("text", raw, ErrorCode::InvalidArgument))
                .transpose()?;
            *parts.metadata = entry(&metadata, index).map(value::metadata).transpose()?;
            Ok(())
        })
    };
    let ids = ids.par_iter().with_min_len(elements::PIECE);
    Ok(ids.enumerate().map(operation).collect())
}

fn column<'a>(
    name: &'static str,
    count: usize,
    fields: &mut Fields<'a>,
) -> Result<Option<Vec<Raw<'a>>>> {
    let Some(column) = fields.list(name)? else {
        return Ok(None);
    };
    // No more than were admitted are collected.
    let entries: Vec<Raw<'a>> = column.elements().take(count + 1).collect();
    if entries.len() != count {
        let actual = column.elements().count();
        let message = format!("`{name}` has {actual} entries for {count} ids");
        return Err(Error::invalid(name, message)
            .with("actual", actual)
            .with("expected", count));
    }
    Ok(Some(entries))
}

fn entry<'a>(column: &Option<Vec<Raw<'a>>>, index: usize) -> Option<Raw<'a>> {
    column
        .as_ref()?
        .get(index)
        .copied()
        .filter(|raw| raw.get() != "null")
}

fn column_operation(
    rule: Rule,
    id: Raw<'_>,
    fill: impl FnOnce(&mut OperationKind) -> Result<()>,
) -> Operation {
    let mut operation = bare(rule);
    let read = || {
        operation.id = value::string("id", id, ErrorCode::InvalidId)?;
        fill(&mut operation.kind)
    };
    if let Err(error) = read() {
        operation.refused = Some(Box::new(error));
    }
    operation
}

/// Operations as a list of objects; without a rule each names its own kind in `op`.
fn elements<'a>(
    raws: &[Raw<'a>],
    rule: Option<Rule>,
    fields: &mut Fields<'a>,
    block: &mut Block,
) -> Result<Vec<Operation>> {
    let rows = block.cut(fields, raws.len())?;
    let element = |index: usize, raw, desk: &mut Desk<'a>| {
        let mut operation = bare(rule.unwrap_or(Rule::Delete(Missing::Error)));
        let filled = desk
            .fields
            .read("an operation", raw)
            .and_then(|()| fill(&mut operation, rule, desk, rows.get(index)));
        if let Err(error) = filled {
            operation.refused = Some(Box::new(error));
        }
        operation
    };
    Ok(elements::decode(raws, block, element, vector_of))
}

/// The group is read first: also an operation that is refused takes its group down with it.
fn fill(
    operation: &mut Operation,
    rule: Option<Rule>,
    desk: &mut Desk<'_>,
    row: Option<VectorRange>,
) -> Result<()> {
    let Desk { fields, numbers } = desk;
    operation.group = fields.string("group", ErrorCode::InvalidArgument)?;
    operation.id = fields
        .string("id", ErrorCode::InvalidId)?
        .ok_or_else(|| Error::new(ErrorCode::InvalidId, "`id` is missing").with("field", "id"))?;
    let rule = match rule {
        Some(rule) => rule,
        None => {
            operation.if_version = fields.integer("if_version")?;
            element_rule(fields)?
        }
    };
    operation.kind = bare(rule).kind;
    if let Some(parts) = Parts::of(&mut operation.kind) {
        *parts.data = numbers.vector("data", fields.take("data"), row)?;
        *parts.text = fields.string("text", ErrorCode::InvalidArgument)?;
        *parts.metadata = fields.take("metadata").map(value::metadata).transpose()?;
    } else if row.is_some() {
        let message = "a delete takes no vector, the block has one for it";
        return Err(Error::invalid("data", message));
    }
    fields.finish()
}

fn element_rule(fields: &mut Fields<'_>) -> Result<Rule> {
    let rule = fields.word(
        "op",
        &[
            ("insert", Rule::Insert(OnConflict::Error)),
            ("update", Rule::Update(MetadataMode::Merge)),
            ("delete", Rule::Delete(Missing::Error)),
        ],
    )?;
    Ok(match rule.ok_or_else(|| missing("op"))? {
        Rule::Insert(_) => Rule::Insert(on_conflict(fields)?),
        Rule::Update(_) => Rule::Update(metadata_mode(fields)?),
        Rule::Delete(_) => Rule::Delete(missing_rule(fields)?),
    })
}

/// An operation of which nothing is known but its kind.
fn bare(rule: Rule) -> Operation {
    let (data, text, metadata) = (None, None, None);
    let kind = match rule {
        Rule::Insert(on_conflict) => OperationKind::Insert {
            data,
            text,
            metadata,
            on_conflict,
        },
        Rule::Update(metadata_mode) => OperationKind::Update {
            data,
            text,
            metadata,
            metadata_mode,
        },
        Rule::Delete(missing) => OperationKind::Delete { missing },
    };
    Operation {
        id: String::new(),
        kind,
        group: None,
        if_version: None,
        refused: None,
    }
}

fn vector_of(operation: &mut Operation) -> Option<&mut VectorRange> {
    Parts::of(&mut operation.kind)?.data.as_mut()
}

/// The parts that inserts and updates have in common.
struct Parts<'k> {
    data: &'k mut Option<VectorRange>,
    text: &'k mut Option<String>,
    metadata: &'k mut Option<Metadata>,
}

impl<'k> Parts<'k> {
    fn of(kind: &'k mut OperationKind) -> Option<Self> {
        match kind {
            OperationKind::Insert {
                data,
                text,
                metadata,
                ..
            }
            | OperationKind::Update {
                data,
                text,
                metadata,
                ..
            } => Some(Parts {
                data,
                text,
                metadata,
            }),
            OperationKind::Delete { .. } => None,
        }
    }
}
