//! What tells one write request from another: a digest of all that decides its outcome.

use xxhash_rust::xxh3::Xxh3;

use super::{Operation, OperationKind, VectorRange, Vectors, WriteOptions, WriteRequest};
use crate::metadata::Metadata;

/// The digest of a decoded request, as 128-bit XXH3.
///
/// It covers the operations with their texts (not the texts' embeddings) and the options, without
/// those that say only when to answer. How the request was written as JSON makes no difference.
/// It must be taken before texts are embedded.
pub fn fingerprint(request: &WriteRequest) -> u128 {
    let mut digest = Digest(Xxh3::new());
    digest.tag(request.verb as u8);
    digest.options(&request.options);
    digest.count(request.operations.len());
    for operation in &request.operations {
        digest.operation(operation, &request.vectors);
    }
    digest.0.digest128()
}

/// Every part is written with its length or a tag before it, so that no two requests can run
/// together into the same bytes.
struct Digest(Xxh3);

impl Digest {
    fn tag(&mut self, tag: u8) {
        self.0.update(&[tag]);
    }

    fn count(&mut self, count: usize) {
        self.0.update(&(count as u64).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.update(text.as_bytes());
    }

    fn optional<T>(&mut self, value: Option<T>, add: impl FnOnce(&mut Self, T)) {
        self.tag(u8::from(value.is_some()));
        if let Some(value) = value {
            add(self, value);
        }
    }

    fn options(&mut self, options: &WriteOptions) {
        self.tag(u8::from(options.atomic));
        self.optional(options.batch_size_limit, Self::count);
        self.tag(options.duplicates as u8);
        self.tag(u8::from(options.validate_only));
        self.tag(options.outcomes as u8);
        self.optional(options.stream.as_ref(), |digest, part| {
            digest.text(&part.stream_id);
            digest.0.update(&part.offset.to_le_bytes());
        });
    }

    fn operation(&mut self, operation: &Operation, vectors: &Vectors) {
        self.text(&operation.id);
        self.optional(operation.group.as_deref(), Self::text);
        self.optional(operation.if_version, |digest, version| {
            digest.0.update(&version.to_le_bytes());
        });
        self.optional(operation.refused.as_deref(), |digest, error| {
            digest.text(&error.message);
        });
        match &operation.kind {
            OperationKind::Insert {
                data,
                text,
                metadata,
                on_conflict,
            } => {
                self.tag(0);
                self.content(*data, text.as_deref(), metadata.as_ref(), vectors);
                self.tag(*on_conflict as u8);
            }
            OperationKind::Update {
                data,
                text,
                metadata,
                metadata_mode,
            } => {
                self.tag(1);
                self.content(*data, text.as_deref(), metadata.as_ref(), vectors);
                self.tag(*metadata_mode as u8);
            }
            OperationKind::Delete { missing } => {
                self.tag(2);
                self.tag(*missing as u8);
            }
        }
    }

    fn content(
        &mut self,
        data: Option<VectorRange>,
        text: Option<&str>,
        metadata: Option<&Metadata>,
        vectors: &Vectors,
    ) {
        self.optional(data, |digest, range| {
            digest.count(range.len);
            for value in vectors.get(range) {
                digest.0.update(&value.to_le_bytes());
            }
        });
        self.optional(text, Self::text);
        self.optional(metadata, |digest, metadata| {
            // Keys stand in their order, whatever the order in which they came; writing plain
            // values to memory cannot fail.
            let bytes = serde_json::to_vec(metadata).unwrap_or_default();
            digest.count(bytes.len());
            digest.0.update(&bytes);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Request, decode};

    fn of(verb: &str, header: &str, block: Vec<f32>) -> u128 {
        match decode(
            verb,
            "json",
            header.as_bytes(),
            block,
            &WriteOptions::default(),
            &mut |_| Ok(()),
        ) {
            Ok(Request::Write { request, .. }) => fingerprint(&request),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_same_request_written_otherwise_is_the_same() {
        let inline = r#"{"collection":"c","vectors":[{"id":"a","data":[1,2.50],
            "metadata":{"x":1,"y":[2]}}],"idempotency_key":"k","wait_for":"indexed"}"#;
        let block = r#"{"ids":["a"],"metadata":[{"y":[2],"x":1}],"collection":"c"}"#;
        assert_eq!(
            of("insert", inline, vec![]),
            of("insert", block, vec![1.0, 2.5])
        );
    }

    #[test]
    fn every_part_of_a_request_counts() {
        let requests = [
            (
                "insert",
                r#"{"collection":"c","vectors":[{"id":"a","data":[1]}]}"#,
            ),
            (
                "insert",
                r#"{"collection":"c","vectors":[{"id":"b","data":[1]}]}"#,
            ),
            (
                "insert",
                r#"{"collection":"c","vectors":[{"id":"a","data":[2]}]}"#,
            ),
            (
                "insert",
                r#"{"collection":"c","vectors":[{"id":"a","data":[1,1]}]}"#,
            ),
            (
                "insert",
                r#"{"collection":"c","vectors":[{"id":"a","text":"1"}]}"#,
            ),
            (
                "insert",
                r#"{"collection":"c","vectors":[{"id":"a","data":[1],"text":"1"}]}"#,
            ),
            (
                "insert",
                r#"{"collection":"c","vectors":[{"id":"a","data":[1],"metadata":{}}]}"#,
            ),
            (
                "insert",
                r#"{"collection":"c","vectors":[{"id":"a","data":[1]}],"atomic":false}"#,
            ),
            (
                "insert",
                r#"{"collection":"c","vectors":[{"id":"a","data":[1]}],"outcomes":"all"}"#,
            ),
            (
                "insert",
                r#"{"collection":"c","vectors":[{"id":"a","data":[1]}],"on_conflict":"skip"}"#,
            ),
            (
                "insert",
                r#"{"collection":"c","vectors":[{"id":"a","data":[1]}],"duplicates":"last_wins"}"#,
            ),
            (
                "update",
                r#"{"collection":"c","updates":[{"id":"a","data":[1]}]}"#,
            ),
            (
                "update",
                r#"{"collection":"c","updates":[{"id":"a","data":[1]}],"metadata_mode":"replace"}"#,
            ),
            ("delete", r#"{"collection":"c","vector_ids":["a"]}"#),
            (
                "delete",
                r#"{"collection":"c","vector_ids":["a"],"missing":"ignore"}"#,
            ),
            ("delete", r#"{"collection":"c","vector_ids":["a",""]}"#),
            (
                "write",
                r#"{"collection":"c","operations":[{"op":"delete","id":"a"}]}"#,
            ),
            (
                "write",
                r#"{"collection":"c","operations":[{"op":"delete","id":"a","if_version":1}]}"#,
            ),
        ];
        let mut seen: Vec<u128> = requests
            .iter()
            .map(|(verb, header)| of(verb, header, vec![]))
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), requests.len());
    }
}
