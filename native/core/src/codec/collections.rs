//! Requests that make collections.

use super::fields::{Fields, missing};
use super::raw::Raw;
use super::request::{CreateCollection, Embedder, Hnsw, Request};
use super::value;
use crate::error::{Error, ErrorCode, Result};
use crate::index::Metric;
use crate::limits::{
    COLLECTION_NAME_CHARACTERS_MAX, DIMENSION_MAX, DIMENSION_MIN, EF_CONSTRUCTION_MAX,
    EF_CONSTRUCTION_MIN, EMBEDDER_NAME_BYTES_MAX, HNSW_M_MAX, HNSW_M_MIN,
};

const METRIC: [(&str, Metric); 3] = [
    ("cosine", Metric::Cosine),
    ("euclidean", Metric::Euclidean),
    ("dot_product", Metric::DotProduct),
];

pub(super) fn create(fields: &mut Fields<'_>) -> Result<Request> {
    let name = fields
        .string("name", ErrorCode::InvalidArgument)?
        .ok_or_else(|| missing("name"))?;
    check_name(&name)?;
    let given = dimension(fields)?;
    let metric = fields.word("metric", &METRIC)?.unwrap_or_default();
    let (embedder, embedded) = match fields.take("embedder") {
        Some(raw) => embedder(raw)?,
        None => (None, None),
    };
    let hnsw = fields
        .take("hnsw")
        .map(hnsw)
        .transpose()?
        .unwrap_or_default();
    let dimension = agreed_dimension(given, embedded)?;
    if dimension.is_none() && embedder != Some(Embedder::Lexical) {
        return Err(missing("dimension"));
    }
    let create = CreateCollection {
        name,
        dimension,
        metric,
        embedder,
        hnsw,
    };
    Ok(Request::CreateCollection(create))
}

fn dimension(fields: &mut Fields<'_>) -> Result<Option<usize>> {
    fields.integer_in(
        "dimension",
        DIMENSION_MIN..=DIMENSION_MAX,
        "numbers",
        ErrorCode::InvalidArgument,
    )
}

/// The collection's dimension may stand with the embedder, beside it, or in both places alike.
fn agreed_dimension(given: Option<usize>, embedded: Option<usize>) -> Result<Option<usize>> {
    match (given, embedded) {
        (Some(actual), Some(expected)) if actual != expected => {
            let message =
                format!("`dimension` is {actual}, but the embedder's dimension is {expected}");
            Err(Error::invalid("dimension", message)
                .with("expected", expected)
                .with("actual", actual))
        }
        _ => Ok(given.or(embedded)),
    }
}

/// Checks a collection's name against `[A-Za-z0-9][A-Za-z0-9_.-]{0,127}`.
fn check_name(name: &str) -> Result<()> {
    let characters = name.chars().count();
    if characters > COLLECTION_NAME_CHARACTERS_MAX {
        return Err(Error::limit(
            ErrorCode::InvalidArgument,
            "name",
            COLLECTION_NAME_CHARACTERS_MAX,
            characters,
            "characters",
        ));
    }
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if !name.starts_with(|first: char| first.is_ascii_alphanumeric()) || !name.bytes().all(is_inner)
    {
        let message = format!(
            "`name` is {name:?}, expected a letter or digit and then letters, digits, `_`, `.`, `-`"
        );
        return Err(Error::invalid("name", message).with("actual", name));
    }
    Ok(())
}

/// The embedder, and the dimension where it tells one.
fn embedder(raw: Raw<'_>) -> Result<(Option<Embedder>, Option<usize>)> {
    if raw.get().starts_with('"') {
        value::word("embedder", raw, &[("lexical", ())])?;
        return Ok((Some(Embedder::Lexical), None));
    }
    let mut fields = Fields::default();
    fields.read("`embedder`", raw)?;
    let name = embedder_label("name", &mut fields)?;
    let version = embedder_label("version", &mut fields)?;
    let dimension = dimension(&mut fields)?;
    fields.finish()?;
    Ok((Some(Embedder::External { name, version }), dimension))
}

fn embedder_label(name: &'static str, fields: &mut Fields<'_>) -> Result<String> {
    let label = fields
        .string(name, ErrorCode::InvalidArgument)?
        .ok_or_else(|| missing(name))?;
    if label.is_empty() {
        return Err(Error::invalid(
            name,
            format!("the embedder's `{name}` is empty"),
        ));
    }
    if label.len() > EMBEDDER_NAME_BYTES_MAX {
        let (code, limit) = (ErrorCode::InvalidArgument, EMBEDDER_NAME_BYTES_MAX);
        return Err(Error::limit(code, name, limit, label.len(), "bytes"));
    }
    Ok(label)
}

fn hnsw(raw: Raw<'_>) -> Result<Hnsw> {
    let defaults = Hnsw::default();
    let mut fields = Fields::default();
    fields.read("`hnsw`", raw)?;
    let code = ErrorCode::InvalidArgument;
    let m = fields.integer_in("m", HNSW_M_MIN..=HNSW_M_MAX, "links", code)?;
    let limits = EF_CONSTRUCTION_MIN..=EF_CONSTRUCTION_MAX;
    let ef_construction = fields.integer_in("ef_construction", limits, "candidates", code)?;
    fields.finish()?;
    Ok(Hnsw {
        m: m.unwrap_or(defaults.m),
        ef_construction: ef_construction.unwrap_or(defaults.ef_construction),
    })
}
