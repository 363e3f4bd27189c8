//! Batches of queries, with the request's defaults filled in.

use std::sync::Arc;

use super::admission::{self, Admit};
use super::block::Block;
use super::elements::{self, Desk};
use super::fields::{Fields, missing};
use super::raw::Raw;
use super::request::Request;
use super::value;
use super::write::batch_size_limit;
use crate::batch::{Effort, Include, Query, QueryInput, SearchRequest, VectorRange};
use crate::error::{Error, ErrorCode, Result};
use crate::filter::Filter;
use crate::limits::{EF_SEARCH_MAX, SEARCH_LIMIT_DEFAULT, SEARCH_LIMIT_MAX, TEXT_BYTES_MAX};

/// What a query leaves out is taken from here.
struct Defaults {
    limit: usize,
    threshold: Option<f32>,
    filter: Option<Arc<Filter>>,
    include: Include,
    effort: Effort,
}

pub(super) fn decode<'a>(
    fields: &mut Fields<'a>,
    block: &mut Block,
    admit: Admit<'_>,
) -> Result<Request> {
    let collection = fields.collection()?;
    let built_in = Defaults {
        limit: SEARCH_LIMIT_DEFAULT,
        threshold: None,
        filter: None,
        include: Include::default(),
        effort: Effort::Usual,
    };
    let defaults = options(fields, &built_in)?;
    let atomic = fields.boolean("atomic")?.unwrap_or(false);
    let batch_size_limit = batch_size_limit(fields)?;
    let list = fields.list("queries")?.ok_or_else(|| missing("queries"))?;
    let raws = admission::elements(list, &collection, batch_size_limit, admit)?;
    let rows = block.cut(fields, raws.len())?;
    let query = |index: usize, raw, desk: &mut Desk<'a>| {
        let mut query = bare(index, &defaults);
        let filled = desk
            .fields
            .read("a query", raw)
            .and_then(|()| fill(&mut query, &defaults, desk, rows.get(index)));
        if let Err(error) = filled {
            query.refused = Some(Box::new(error));
        }
        query
    };
    let queries = elements::decode(&raws, block, query, vector_of);
    let vectors = block.take();
    let request = SearchRequest {
        queries,
        vectors,
        atomic,
        batch_size_limit,
    };
    Ok(Request::Search {
        collection,
        request,
    })
}

/// Takes the fields that a request and its queries have in common.
fn options(fields: &mut Fields<'_>, defaults: &Defaults) -> Result<Defaults> {
    let code = ErrorCode::InvalidQuery;
    let limit = fields.integer_in("limit", 1..=SEARCH_LIMIT_MAX, "matches", code)?;
    let threshold = match fields.take("threshold") {
        Some(raw) => Some(threshold(raw)?),
        None => defaults.threshold,
    };
    let filter = match filter(fields)? {
        Some(filter) => Some(filter),
        None => defaults.filter.clone(),
    };
    let include = include(fields)?.unwrap_or(defaults.include);
    let effort = effort(fields)?;
    Ok(Defaults {
        limit: limit.unwrap_or(defaults.limit),
        threshold,
        filter,
        include,
        effort: effort.unwrap_or(defaults.effort),
    })
}

fn bare(index: usize, defaults: &Defaults) -> Query {
    Query {
        query_id: format!("query_{}", index + 1),
        input: None,
        limit: defaults.limit,
        threshold: defaults.threshold,
        filter: None,
        include: defaults.include,
        effort: defaults.effort,
        refused: None,
    }
}

fn fill(
    query: &mut Query,
    defaults: &Defaults,
    desk: &mut Desk<'_>,
    row: Option<VectorRange>,
) -> Result<()> {
    let Desk { fields, numbers } = desk;
    if let Some(id) = fields.string("query_id", ErrorCode::InvalidArgument)? {
        query.query_id = id;
    }
    let vector = numbers.vector("query_vector", fields.take("query_vector"), row)?;
    let text = fields.string("query_text", ErrorCode::InvalidArgument)?;
    query.input = Some(input(vector, text)?);
    let options = options(fields, defaults)?;
    query.limit = options.limit;
    query.threshold = options.threshold;
    query.filter = options.filter;
    query.include = options.include;
    query.effort = options.effort;
    fields.finish()
}

fn vector_of(query: &mut Query) -> Option<&mut VectorRange> {
    match &mut query.input {
        Some(QueryInput::Vector(range)) => Some(range),
        _ => None,
    }
}

fn input(vector: Option<VectorRange>, text: Option<String>) -> Result<QueryInput> {
    let message = match (vector, text) {
        (Some(range), None) => return Ok(QueryInput::Vector(range)),
        (None, Some(text)) if text.len() > TEXT_BYTES_MAX => {
            let code = ErrorCode::InvalidQuery;
            return Err(Error::limit(
                code,
                "query_text",
                TEXT_BYTES_MAX,
                text.len(),
                "bytes",
            ));
        }
        (None, Some(text)) => return Ok(QueryInput::Text(text)),
        (Some(_), Some(_)) => "query_vector and query_text exclude each other",
        (None, None) => "query_vector or query_text is needed",
    };
    Err(Error::new(ErrorCode::InvalidQuery, message).with("field", "query_vector"))
}

fn threshold(raw: Raw<'_>) -> Result<f32> {
    let number = value::number("threshold", raw, ErrorCode::InvalidArgument)?;
    let threshold = number as f32;
    if !threshold.is_finite() {
        let message = format!(
            "`threshold` is {number}, expected at most {} either way",
            f32::MAX
        );
        return Err(Error::new(ErrorCode::InvalidQuery, message)
            .with("field", "threshold")
            .with("limit", f32::MAX)
            .with("actual", raw.get().chars().take(64).collect::<String>()));
    }
    Ok(threshold)
}

/// Takes `ef_search` or `recall`.
fn effort(fields: &mut Fields<'_>) -> Result<Option<Effort>> {
    let code = ErrorCode::InvalidQuery;
    let beam = fields.integer_in("ef_search", 1..=EF_SEARCH_MAX, "candidates", code)?;
    let Some(raw) = fields.take("recall") else {
        return Ok(beam.map(Effort::Beam));
    };
    let recall = value::number("recall", raw, ErrorCode::InvalidArgument)?;
    if beam.is_some() {
        let message = "`ef_search` and `recall` exclude each other";
        return Err(Error::new(code, message).with("field", "recall"));
    }
    if !(0.0..=1.0).contains(&recall) {
        let message = format!("`recall` is {recall}, expected 0 to 1");
        return Err(Error::new(code, message)
            .with("field", "recall")
            .with("limit", 1)
            .with("actual", raw.get().chars().take(64).collect::<String>()));
    }
    let is_all = recall >= 1.0;
    Ok(Some(if is_all {
        Effort::All
    } else {
        Effort::Recall(recall as f32)
    }))
}

/// Takes `filters`.
pub(super) fn filter(fields: &mut Fields<'_>) -> Result<Option<Arc<Filter>>> {
    let Some(raw) = fields.take("filters") else {
        return Ok(None);
    };
    value::refuse_wide_integers("filters", raw, ErrorCode::InvalidFilter)?;
    let value = value::any("filters", raw, ErrorCode::InvalidFilter)?;
    Ok(Some(Arc::new(Filter::parse(&value)?)))
}

/// Takes `include`: a list of `metadata`, `text` and `data`.
pub(super) fn include(fields: &mut Fields<'_>) -> Result<Option<Include>> {
    let Some(parts) = fields.list("include")? else {
        return Ok(None);
    };
    let mut include = Include {
        metadata: false,
        text: false,
        data: false,
    };
    for raw in parts.elements() {
        match value::word("include", raw, &[("metadata", 0), ("text", 1), ("data", 2)])? {
            0 => include.metadata = true,
            1 => include.text = true,
            _ => include.data = true,
        }
    }
    Ok(Some(include))
}
