//! Texts become vectors: at once by the built-in embedder, else by the caller.

use super::responder::encoded;
use super::unembedded::Waiting;
use crate::batch::{
    self, Checked, QueryInput, SearchRequest, VectorRange, WriteRequest, check_vector,
};
use crate::codec::{self, Resume};
use crate::collection::{Collection, Snapshot};
use crate::error::{Error, ErrorCode, Result};

/// What the built-in embedder's vectors of so many texts take: as they are made, and once more
/// among the vectors of their batch. Nothing where the embedder is not built in.
pub fn bytes(collection: &Collection, texts: usize) -> usize {
    const COPIES: usize = 2;
    let has_lexical = usize::from(collection.lexical().is_some());
    let dimension = collection.config().dimension;
    texts.saturating_mul(has_lexical * dimension * size_of::<f32>() * COPIES)
}

/// The vectors of a batch's texts, end to end; `None` where the collection's embedder is not
/// built in.
pub fn documents(
    collection: &Collection,
    request: &WriteRequest,
    checked: &Checked,
) -> Option<Result<Vec<f32>>> {
    let lexical = collection.lexical()?;
    let dimension = collection.config().dimension;
    let texts = write_texts(request, checked);
    let mut rows = vec![0.0; texts.len() * dimension];
    Some(lexical.documents(&texts, &mut rows).map(|()| rows))
}

/// Embeds the text queries of a search in place; returns whether the collection can.
pub fn queries(
    snapshot: &Snapshot,
    collection: &Collection,
    request: &mut SearchRequest,
    to_embed: &[usize],
) -> Result<bool> {
    let (Some(lexical), Some(statistics)) = (collection.lexical(), &snapshot.statistics) else {
        return Ok(false);
    };
    let dimension = collection.config().dimension;
    for &index in to_embed {
        let Some(QueryInput::Text(text)) = &request.queries[index].input else {
            continue;
        };
        let start = request.vectors.values.len();
        request.vectors.values.resize(start + dimension, 0.0);
        lexical.query(text, statistics, &mut request.vectors.values[start..])?;
        let range = VectorRange {
            start,
            len: dimension,
        };
        request.queries[index].input = Some(QueryInput::Vector(range));
    }
    Ok(true)
}

/// Gives the text queries of a search the vectors that the caller has made.
///
/// # Errors
/// `EMBEDDING_FAILED` where the count of numbers is not texts times dimension.
pub fn resume_queries(
    collection: &Collection,
    request: &mut SearchRequest,
    to_embed: &[usize],
    resume: &Resume,
) -> Result<()> {
    if let Some(reason) = &resume.failed {
        let error = failed(reason, resume.attempts);
        for &index in to_embed {
            request.queries[index].refused = Some(Box::new(error.clone()));
        }
        batch::abort_search(request);
        return Ok(());
    }
    let shape = collection.config().shape();
    let expected = to_embed.len() * shape.dimension;
    if resume.vectors.len() != expected {
        let actual = resume.vectors.len();
        let message = format!("the embedder returned {actual} numbers, expected {expected}");
        return Err(Error::new(ErrorCode::EmbeddingFailed, message)
            .with("expected", expected)
            .with("actual", actual));
    }
    for (row, &index) in resume.vectors.chunks_exact(shape.dimension).zip(to_embed) {
        let query = &mut request.queries[index];
        if let Err(error) = check_vector(row, &shape) {
            query.refused = Some(Box::new(error));
            continue;
        }
        let range = VectorRange {
            start: request.vectors.values.len(),
            len: row.len(),
        };
        request.vectors.values.extend_from_slice(row);
        query.input = Some(QueryInput::Vector(range));
    }
    batch::abort_search(request);
    Ok(())
}

/// The reply that asks the caller for embeddings.
pub fn ask(token: u64, waiting: &Waiting) -> Vec<u8> {
    let token = &token.to_string();
    match waiting {
        Waiting::Write(_, request, checked) => {
            let texts = write_texts(request, checked);
            encoded(|out| codec::embed_reply(token, &texts, out))
        }
        Waiting::Search(_, request, to_embed) => {
            let texts = query_texts(request, to_embed);
            encoded(|out| codec::embed_reply(token, &texts, out))
        }
    }
}

/// The error of everything that needed an embedder that failed.
pub fn failed(reason: &str, attempts: Option<u64>) -> Error {
    let message = format!("the embedder failed: {reason}");
    let error = Error::new(ErrorCode::EmbeddingFailed, message);
    match attempts {
        Some(attempts) => error.with("attempts", attempts),
        None => error,
    }
}

fn write_texts<'a>(request: &'a WriteRequest, checked: &Checked) -> Vec<&'a str> {
    let text = |index: &usize| request.operations[*index].text().unwrap_or_default();
    checked.to_embed.iter().map(text).collect()
}

fn query_texts<'a>(request: &'a SearchRequest, to_embed: &[usize]) -> Vec<&'a str> {
    let text = |index: &usize| match &request.queries[*index].input {
        Some(QueryInput::Text(text)) => text.as_str(),
        _ => "",
    };
    to_embed.iter().map(text).collect()
}
