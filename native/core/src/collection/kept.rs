//! What a commit remembers beside its rows: the reply to a request with an idempotency key, and
//! how far a stream has come. Both stand in the commit's own frame, and so are as durable as it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::queue::Terms;
use super::recent::{Bounds, Key, Recent, Remembered};
use super::snapshot::Snapshot;
use crate::batch::{Level, Outcome, Status, WriteReply, WriteRequest};
use crate::error::{Error, ErrorCode, Result};
use crate::limits;
use crate::log::BatchEncoder;
use crate::record::Sequence;

/// The replies that are given again.
pub type Replies = Recent<Arc<KeptReply>>;

/// How far each stream has come.
pub type Streams = Recent<Arc<StreamOffset>>;

/// The reply to a request with an idempotency key, as far as the request itself does not say it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptReply {
    /// Whose key it is; empty for callers of this process.
    pub caller: String,
    /// The idempotency key.
    pub key: String,
    /// Digest of the request, in hexadecimal.
    pub fingerprint: String,
    /// The batch's number.
    pub sequence: Sequence,
    /// The batch's name in progress reports.
    pub batch_id: String,
    /// When it was committed, in milliseconds since 1970.
    pub time_ms: u64,
    /// Outcomes of consecutive operations that ended alike: status and count.
    runs: Vec<(String, usize)>,
    /// The errors of the failed operations, in order.
    errors: Vec<KeptError>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptError {
    code: String,
    message: String,
    details: Map<String, Value>,
}

impl Remembered for Arc<KeptReply> {
    fn key(&self) -> Key {
        (self.caller.clone(), self.key.clone())
    }

    fn time_ms(&self) -> u64 {
        self.time_ms
    }

    fn bytes(&self) -> usize {
        let errors = self.errors.iter();
        size_of::<KeptReply>()
            + self.key.len()
            + self.runs.len() * 40
            + errors.map(|error| error.message.len() + 256).sum::<usize>()
    }
}

impl KeptReply {
    /// What is to be remembered of a batch that commits with this sequence.
    pub fn of(
        terms: &Terms,
        key: &str,
        fingerprint: u128,
        outcomes: &[Outcome],
        sequence: Sequence,
    ) -> Self {
        let statuses = outcomes.chunk_by(|a, b| a.status == b.status);
        let runs = statuses.filter_map(|run| {
            let first = run.first()?;
            Some((first.status.as_str().to_owned(), run.len()))
        });
        let errors = outcomes.iter().filter_map(|outcome| {
            let error = outcome.error.as_deref()?;
            Some(KeptError {
                code: error.code.as_str().to_owned(),
                message: error.message.clone(),
                details: error.details.clone(),
            })
        });
        KeptReply {
            caller: terms.caller.clone(),
            key: key.to_owned(),
            fingerprint: format!("{fingerprint:032x}"),
            sequence,
            batch_id: terms.batch_id.clone(),
            time_ms: now_ms(),
            runs: runs.collect(),
            errors: errors.collect(),
        }
    }

    /// Whether a request is the one that this was the reply to.
    pub fn answers(&self, fingerprint: u128) -> bool {
        self.fingerprint == format!("{fingerprint:032x}")
    }

    /// The reply, to be given again.
    pub fn reply(&self) -> WriteReply {
        let mut errors = self.errors.iter();
        let mut outcomes = Vec::new();
        for (status, count) in &self.runs {
            let status = Status::parse(status);
            outcomes.extend((0..*count).map(|_| match status {
                Status::Failed => {
                    Outcome::failed(errors.next().map_or_else(lost, KeptError::error))
                }
                status => Outcome::of(status),
            }));
        }
        WriteReply {
            outcomes,
            sequence: self.sequence,
            reached: Level::Applied,
            replayed: true,
            batch_id: self.batch_id.clone(),
        }
    }

    /// The section of the commit's frame.
    pub fn encode(&self) -> Vec<u8> {
        // Writing plain structures to memory cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what [`KeptReply::encode`] has written.
    ///
    /// # Errors
    /// `CORRUPTED`.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|error| Error::corrupted("idempotency", error))
    }
}

impl KeptError {
    fn error(&self) -> Error {
        let code = ErrorCode::parse(&self.code).unwrap_or(ErrorCode::Internal);
        Error {
            code,
            message: self.message.clone(),
            details: self.details.clone(),
        }
    }
}

fn lost() -> Error {
    Error::internal("the kept reply lacks an error")
}

/// How far a stream has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamOffset {
    /// Whose stream it is; empty for callers of this process.
    pub caller: String,
    /// The caller's name for the stream.
    pub stream_id: String,
    /// How many operations of the stream, from its beginning, are committed.
    pub offset: u64,
    /// When, in milliseconds since 1970.
    pub time_ms: u64,
}

impl Remembered for Arc<StreamOffset> {
    fn key(&self) -> Key {
        (self.caller.clone(), self.stream_id.clone())
    }

    fn time_ms(&self) -> u64 {
        self.time_ms
    }

    fn bytes(&self) -> usize {
        size_of::<StreamOffset>() + 2 * (self.caller.len() + self.stream_id.len())
    }
}

impl StreamOffset {
    /// The section of the commit's frame.
    pub fn encode(&self) -> Vec<u8> {
        // Writing plain structures to memory cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what [`StreamOffset::encode`] has written.
    ///
    /// # Errors
    /// `CORRUPTED`.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|error| Error::corrupted("stream offsets", error))
    }
}

/// What a commit remembers beside its rows.
#[derive(Default)]
pub struct Kept {
    reply: Option<Arc<KeptReply>>,
    stream: Option<Arc<StreamOffset>>,
}

impl Kept {
    /// What is to be remembered of a batch that commits with this sequence.
    pub fn of(
        request: &WriteRequest,
        terms: &Terms,
        outcomes: &[Outcome],
        sequence: Sequence,
    ) -> Self {
        let options = &request.options;
        let key = options.idempotency_key.as_deref().zip(terms.fingerprint);
        let reply = key
            .map(|(key, fingerprint)| KeptReply::of(terms, key, fingerprint, outcomes, sequence));
        let stream = options.stream.as_ref().map(|part| StreamOffset {
            caller: terms.caller.clone(),
            stream_id: part.stream_id.clone(),
            offset: part.offset + request.operations.len() as u64,
            time_ms: now_ms(),
        });
        Kept {
            reply: reply.map(Arc::new),
            stream: stream.map(Arc::new),
        }
    }

    /// Adds the sections of the commit's frame.
    pub fn encode(&self, encoder: &mut BatchEncoder) {
        if let Some(reply) = &self.reply {
            encoder.idempotency(reply.encode());
        }
        if let Some(stream) = &self.stream {
            encoder.stream_offsets(stream.encode());
        }
    }

    /// Takes it into the next snapshot.
    pub fn remember(self, state: &mut Snapshot) {
        if let Some(reply) = self.reply {
            state.replies.insert(reply);
        }
        if let Some(stream) = self.stream {
            state.streams.insert(stream);
        }
    }
}

/// An empty window of replies, with the limits that are published.
pub fn no_replies() -> Replies {
    Recent::new(Bounds {
        count: limits::IDEMPOTENCY_KEYS_KEPT,
        bytes: limits::IDEMPOTENCY_BYTES_MAX,
        age_ms: limits::IDEMPOTENCY_AGE_MS_MAX as u64,
    })
}

/// An empty memory of streams, with the limits that are published.
pub fn no_streams() -> Streams {
    Recent::new(Bounds {
        count: limits::STREAMS_KEPT,
        bytes: usize::MAX,
        age_ms: limits::STREAM_AGE_MS_MAX as u64,
    })
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_millis() as u64)
}

/// The keys whose requests are running.
#[derive(Debug, Default)]
pub struct KeysInFlight(Mutex<BTreeSet<Key>>);

/// A key that belongs to one running request; dropped, it is free again.
#[derive(Debug)]
pub struct Claim {
    keys: Arc<KeysInFlight>,
    key: Key,
}

impl KeysInFlight {
    /// Claims a key for one request.
    ///
    /// # Errors
    /// `IDEMPOTENCY_IN_FLIGHT` where another request has it.
    pub fn claim(self: &Arc<Self>, key: Key) -> Result<Claim> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !keys.insert(key.clone()) {
            let message = "a request with this idempotency key is still running";
            return Err(
                Error::new(ErrorCode::IdempotencyInFlight, message).with("idempotency_key", key.1)
            );
        }
        Ok(Claim {
            keys: Arc::clone(self),
            key,
        })
    }
}

impl Claim {
    /// The key.
    pub fn key(&self) -> &Key {
        &self.key
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut keys = self.keys.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_reply_is_the_reply() {
        let error = Error::limit(ErrorCode::InvalidId, "id", 512, 600, "bytes");
        let reply = WriteReply {
            outcomes: vec![
                Outcome::of(Status::Created),
                Outcome::of(Status::Created),
                Outcome::failed(error),
                Outcome::of(Status::Skipped),
                Outcome::failed(Error::new(ErrorCode::NotFound, "no record")),
            ],
            sequence: 7,
            reached: Level::Indexed,
            replayed: false,
            batch_id: "b".to_owned(),
        };
        let terms = Terms::default();
        let kept = KeptReply::of(&terms, "key", 0xfeed, &reply.outcomes, reply.sequence);
        let read = KeptReply::decode(&kept.encode()).unwrap();
        assert_eq!(read, kept);
        assert!(read.answers(0xfeed) && !read.answers(0xbeef));
        let again = read.reply();
        assert_eq!(again.outcomes, reply.outcomes);
        assert_eq!((again.sequence, again.replayed), (7, true));
        assert!(KeptReply::decode(b"{}").is_err());
    }

    #[test]
    fn a_key_is_one_requests_at_a_time() {
        let keys = Arc::new(KeysInFlight::default());
        let key = |caller: &str| (caller.to_owned(), "key".to_owned());
        let claim = keys.claim(key("")).unwrap();
        let error = keys.claim(key("")).unwrap_err();
        assert_eq!(error.code, ErrorCode::IdempotencyInFlight);
        assert!(keys.claim(key("other")).is_ok());
        drop(claim);
        assert!(keys.claim(key("")).is_ok());
    }
}
