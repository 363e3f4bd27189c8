//! The verbs that answer at once: reads, and what is done to collections as a whole.

use std::sync::Arc;
use std::time::Instant;

use rayon::prelude::*;

use super::Inner;
use super::responder::encoded;
use crate::batch::{self, QueryResult, Record, SearchRequest};
use crate::codec::{self, CollectionInfo, Request};
use crate::collection::{Collection, CollectionConfig, Found, Snapshot};
use crate::error::{Error, Result};

/// Answers a request that neither writes records nor searches.
///
/// # Errors
/// `COLLECTION_NOT_FOUND` and whatever the verb names.
pub fn answer(inner: &Inner, request: Request) -> Result<Vec<u8>> {
    match request {
        Request::CreateCollection(create) => {
            let config = CollectionConfig::of(&create)?;
            let info = inner.create(&create.name, config)?.info();
            Ok(encoded(|out| codec::collection_reply(&info, out)))
        }
        Request::ListCollections => {
            let infos: Result<Vec<CollectionInfo>> = inner
                .names()
                .iter()
                .map(|name| Ok(inner.collection(name)?.info()))
                .collect();
            let infos = infos?;
            Ok(encoded(|out| codec::collections_reply(&infos, out)))
        }
        Request::Info { collection } => {
            let info = inner.collection(&collection)?.info();
            Ok(encoded(|out| codec::collection_reply(&info, out)))
        }
        Request::Drop { collection } => {
            inner.drop_collection(&collection)?;
            Ok(encoded(codec::drop_reply))
        }
        Request::Get {
            collection,
            ids,
            include,
        } => {
            let records = inner.collection(&collection)?.get(&ids, include)?;
            Ok(encoded(|out| codec::get_reply(&records, out)))
        }
        Request::List {
            collection,
            request,
        } => {
            let collection = inner.collection(&collection)?;
            let filter = request.filter.as_deref();
            let after = request.after.as_deref();
            let page = collection.list(after, request.limit, filter, request.include)?;
            Ok(encoded(|out| {
                codec::list_reply(&page.records, page.next.as_deref(), out);
            }))
        }
        Request::Count { collection, filter } => {
            let count = inner.collection(&collection)?.count(filter.as_deref());
            Ok(encoded(|out| codec::count_reply(count, out)))
        }
        Request::Limits => Ok(encoded(codec::limits_reply)),
        other => Err(Error::internal(format!("{other:?} is answered elsewhere"))),
    }
}

/// Runs the queries of a search, whose texts are embedded, and encodes what they find.
///
/// # Errors
/// `CORRUPTED` where a match's row is not what was written.
pub fn search(
    collection: &Arc<Collection>,
    snapshot: &Snapshot,
    request: &SearchRequest,
    began: Instant,
) -> Result<Vec<u8>> {
    let found = collection.search(snapshot, request);
    let results: Vec<QueryResult<'_>> = request
        .queries
        .par_iter()
        .zip(found)
        .map(|(query, found)| with_records(collection, snapshot, query, found))
        .collect();
    Ok(encoded(|out| {
        codec::search_reply(request, &results, began.elapsed(), out);
    }))
}

fn with_records(
    collection: &Collection,
    snapshot: &Snapshot,
    query: &batch::Query,
    found: Found,
) -> QueryResult<'static> {
    let read = |found: crate::collection::Match| {
        // A match has no version on the wire; get and list tell it.
        let record = Record {
            version: None,
            ..collection.record(snapshot, found, query.include)?
        };
        Ok(batch::Match {
            record,
            score: found.score,
        })
    };
    let matches = found
        .matches
        .and_then(|matches| matches.into_iter().map(read).collect::<Result<_>>());
    QueryResult {
        matches,
        time: found.elapsed,
    }
}
