//! The verbs that answer at once: reads, and what is done to collections as a whole.

use std::sync::Arc;

use rayon::prelude::*;

use super::Inner;
use super::batches::Batch;
use super::context::CallContext;
use super::responder::encoded;
use crate::batch::{self, QueryResult, SearchRequest};
use crate::codec::{self, BatchProgress, CollectionInfo, Format, Request, SearchPiece};
use crate::collection::{Collection, CollectionConfig, Found, Snapshot};
use crate::error::{Error, ErrorCode, Result};
use crate::kernels;

/// Answers a request that neither writes records nor searches.
///
/// # Errors
/// `COLLECTION_NOT_FOUND` and whatever the verb names.
pub fn answer(inner: &Inner, context: &CallContext, request: Request) -> Result<Vec<u8>> {
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
        other => answer_about_work(inner, context, other),
    }
}

/// Answers what is asked of the store itself: its limits, and what is under way in it.
fn answer_about_work(inner: &Inner, context: &CallContext, request: Request) -> Result<Vec<u8>> {
    match request {
        Request::Limits => {
            let limits = limits(inner);
            Ok(encoded(|out| codec::limits_reply(&limits, out)))
        }
        Request::Config => {
            let settings = &inner.options.batch_operations;
            Ok(encoded(|out| codec::config_reply(settings, out)))
        }
        Request::BatchProgress { batch_id } => {
            let batch = inner.batches.get(&context.caller, &batch_id)?;
            Ok(progress(inner, &batch))
        }
        Request::CancelBatch { batch_id, code } => {
            let batch = inner.batches.get(&context.caller, &batch_id)?;
            batch.stop(code);
            Ok(progress(inner, &batch))
        }
        Request::StreamOffset {
            collection,
            stream_id,
        } => {
            let collection = inner.collection(&collection)?;
            let offset = collection.stream_offset(&context.caller, &stream_id);
            Ok(encoded(|out| codec::offset_reply(offset, out)))
        }
        Request::BeginStage { collection } => {
            let collection = inner.collection(&collection)?;
            let budget = &inner.budget;
            let stage = inner
                .stages
                .begin(collection.name(), &context.caller, budget)?;
            Ok(encoded(|out| codec::stage_reply(stage, out)))
        }
        Request::ReleaseMemory { reservation } => {
            drop(inner.reservations.take(reservation)?);
            Ok(encoded(codec::drop_reply))
        }
        other => Err(Error::internal(format!("{other:?} is answered elsewhere"))),
    }
}

/// The limits of this store, and what is free.
fn limits(inner: &Inner) -> [(&'static str, usize, &'static str); 4] {
    let usage = inner.budget.usage();
    let max_batch_size = inner.options.batch_operations.max_batch_size;
    [
        ("max_batch_size", max_batch_size, "operations"),
        ("memory_bytes_max", usage.limit, "bytes"),
        ("memory_used_bytes", usage.used, "bytes"),
        ("memory_free_bytes", usage.free(), "bytes"),
    ]
}

fn progress(inner: &Inner, batch: &Batch) -> Vec<u8> {
    let progress = batch.progress();
    let ended = progress.ended.as_ref();
    let (failed, sequence) = ended.map_or((0, None), |ended| (ended.failed, ended.sequence));
    let error = ended.and_then(|ended| ended.error.as_ref());
    let received = progress.received.unwrap_or(0);
    // A preview has applied nothing, whatever it came to.
    let applied = sequence.map_or(0, |_| received - failed);
    let in_graph = |sequence| {
        let name = progress.collection.as_deref()?;
        let snapshot = inner.collections().get(name)?.snapshot();
        (snapshot.indexed() >= sequence).then_some(applied)
    };
    let elapsed = ended.map_or_else(|| batch.began.elapsed(), |ended| ended.elapsed);
    let status = match (ended, error) {
        (None, _) => "running",
        (_, Some(error)) if error.code == ErrorCode::Cancelled => "cancelled",
        (_, Some(_)) => "failed",
        (Some(_), None) => batch::BatchStatus::of(received, failed).as_str(),
    };
    let told = BatchProgress {
        batch_id: batch.batch_id.clone(),
        verb: batch.verb.clone(),
        collection: progress.collection.clone(),
        status,
        total: progress.received,
        received,
        durable: applied,
        applied,
        indexed: sequence.and_then(in_graph).unwrap_or(0),
        failed,
        bytes: batch.bytes,
        rate_per_s: received as f64 / elapsed.as_secs_f64().max(1e-6),
        memory_bytes: inner.budget.usage().used,
        sequence,
        error_code: error.map(|error| error.code.as_str()),
        error_message: error.map(|error| error.message.clone()),
        processing_time_ms: elapsed.as_micros() as f64 / 1000.0,
    };
    encoded(|out| codec::progress_reply(&told, out))
}

/// Queries whose results are read and written together.
const PIECE_QUERIES: usize = 16;

/// Runs the queries of a search, whose texts are embedded, and encodes what they find; tells how
/// many failed.
pub fn search(
    collection: &Arc<Collection>,
    snapshot: &Snapshot,
    request: &SearchRequest,
    batch: &Batch,
    format: Format,
) -> (Vec<u8>, usize) {
    let found = collection.search(snapshot, request, &batch.gate);
    let asked = request.queries.par_iter().zip(found).enumerate();
    let pieces: Vec<SearchPiece> = asked
        .chunks(PIECE_QUERIES)
        .map(|asked| {
            // Where the ids of all are, and then the ids, is asked for before any is read.
            let found = asked.iter().map(|(_, (_, found))| &found.matches);
            let matches = found.flatten().flatten();
            matches.for_each(|found| snapshot.ids.prefetch(found.slot));
            let answered = asked.into_iter().map(|(index, (query, found))| {
                let result = with_records(collection, snapshot, query, found);
                (index, &query.query_id, result)
            });
            let answered: Vec<_> = answered.collect();
            let mut piece = SearchPiece::new(format);
            for (index, query_id, result) in &answered {
                piece.push(*index, query_id, result);
            }
            piece
        })
        .collect();
    let failed = pieces.iter().map(SearchPiece::failed).sum();
    let bytes = encoded(|out| codec::search_reply(&pieces, batch.began.elapsed(), out));
    (bytes, failed)
}

fn with_records<'s>(
    collection: &Collection,
    snapshot: &'s Snapshot,
    query: &batch::Query,
    found: Found,
) -> QueryResult<'s> {
    let read = |found: crate::collection::Match| {
        let record = collection.record(snapshot, found, query.include)?;
        kernels::prefetch(record.id.as_bytes());
        Ok(batch::Match {
            record,
            score: found.score,
        })
    };
    let read_all = |matches: Vec<_>| matches.into_iter().map(read).collect();
    let matches = found.matches.and_then(read_all);
    QueryResult {
        matches,
        time: found.elapsed,
    }
}
