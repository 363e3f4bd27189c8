//! Protobuf through the codec's door: bytes in, requests, errors or bytes out.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::json;

use super::wire::{Reader, Value, put_bytes, put_double, put_float, put_integer};
use super::{CALLS, reply, schema};
use crate::batch::OperationKind;
use crate::codec::Request;
use crate::codec::tests::decode;
use crate::error::ErrorCode;

fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes(number, bytes, &mut out);
    out
}

fn integer(number: u32, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_integer(number, value, &mut out);
    out
}

fn floats(numbers: &[f32]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}

/// A `Struct` with one number.
fn structure(name: &str, number: f64) -> Vec<u8> {
    let mut value = Vec::new();
    put_double(2, number, &mut value);
    field(1, &[field(1, name.as_bytes()), field(2, &value)].concat())
}

fn insert(elements: &[Vec<u8>]) -> Vec<u8> {
    let rows = elements.iter().flat_map(|element| field(2, element));
    field(1, b"c").into_iter().chain(rows).collect()
}

fn code(verb: &str, body: &[u8]) -> ErrorCode {
    decode(verb, "protobuf", body, Vec::new()).unwrap_err().code
}

#[test]
fn vectors_go_into_the_block_and_all_else_reads_as_json() {
    let with = [
        field(1, b"a"),
        field(2, &floats(&[1.0, 2.0])),
        field(20, b"t"),
    ]
    .concat();
    let without = [field(1, b"b"), field(3, &structure("n", 3.0))].concat();
    let body = [insert(&[with, without]), integer(3, 0), field(20, b"skip")].concat();
    let Request::Write {
        collection,
        request,
    } = decode("insert", "protobuf", &body, Vec::new()).unwrap()
    else {
        panic!("no write");
    };
    assert_eq!(collection, "c");
    assert!(!request.options.atomic);
    assert_eq!(request.vectors.values, [1.0, 2.0]);
    assert_eq!(request.operations[0].text(), Some("t"));
    assert_eq!(
        serde_json::to_string(request.operations[1].metadata().unwrap()).unwrap(),
        r#"{"n":3}"#
    );
    let OperationKind::Insert { data: None, .. } = request.operations[1].kind else {
        panic!("{:?}", request.operations[1]);
    };
}

#[test]
fn an_empty_vector_of_an_update_is_not_an_absent_one() {
    let with = [field(1, b"a"), field(2, &[])].concat();
    let without = field(1, b"b");
    let body = insert(&[with, without]);
    let Request::Write { request, .. } = decode("update", "protobuf", &body, Vec::new()).unwrap()
    else {
        panic!("no write");
    };
    let data: Vec<_> = request
        .operations
        .iter()
        .map(|operation| match operation.kind {
            OperationKind::Update { data, .. } => data.map(|range| range.len),
            _ => panic!("{operation:?}"),
        })
        .collect();
    assert_eq!(data, [Some(0), None]);
}

#[test]
fn a_number_that_json_cannot_say_fails_its_own_operation() {
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let bad = [
            field(1, b"a"),
            field(2, &floats(&[1.0])),
            field(3, &structure("n", number)),
        ];
        let good = [field(1, b"b"), field(2, &floats(&[1.0]))].concat();
        let body = insert(&[bad.concat(), good]);
        let Request::Write { request, .. } =
            decode("insert", "protobuf", &body, Vec::new()).unwrap()
        else {
            panic!("no write");
        };
        let refused = request.operations[0].refused.as_ref().unwrap();
        assert_eq!(refused.code, ErrorCode::InvalidMetadata);
        assert!(request.operations[1].refused.is_none());
    }
}

#[test]
fn unknown_fields_wrong_kinds_and_repeats_are_refused() {
    let invalid = ErrorCode::InvalidArgument;
    for extra in [
        field(99, b"x"),
        integer(1, 1),
        field(1, b"again"),
        field(20, &[0xff]),
        field(20, b"sometimes"),
        vec![0x0b],
        vec![0x00],
        vec![0xff; 11],
        vec![0x12, 0x05, 0x00],
    ] {
        let body = [insert(&[]), extra].concat();
        assert_eq!(code("insert", &body), invalid, "{body:?}");
    }
    assert_eq!(code("limits", b""), ErrorCode::Unsupported);
    let deep = (0..300).fold(structure("n", 1.0), |inner, _| {
        let value = field(5, &inner);
        field(1, &[field(1, b"n"), field(2, &value)].concat())
    });
    let body = insert(&[[field(1, b"a"), field(3, &deep)].concat()]);
    assert_eq!(code("insert", &body), invalid);
}

#[test]
fn a_block_beside_a_message_is_refused() {
    let error = decode("insert", "protobuf", &insert(&[]), vec![1.0]).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidArgument);
}

#[test]
fn fields_beside_the_body_count_as_the_body_s_own() {
    let line = r#"delete {"idempotency_key":"k","collection":"c"}"#;
    let body = field(2, b"a");
    let Request::Write { request, .. } = decode(line, "protobuf", &body, Vec::new()).unwrap()
    else {
        panic!("no write");
    };
    assert_eq!(request.options.idempotency_key.as_deref(), Some("k"));
    let body = [field(1, b"c"), body].concat();
    let error = decode(line, "protobuf", &body, Vec::new()).unwrap_err();
    assert!(error.message.contains("stands twice"), "{error}");
}

#[test]
fn a_reply_has_its_numbers_packed_its_nulls_empty_and_its_details_gathered() {
    let json = json!({ "vectors": [{ "id": "a", "version": 7, "data": [0.1, -2.0] }, null] });
    let bytes = reply("get", json.to_string().as_bytes()).unwrap();
    let mut record = [field(1, b"a"), field(2, &floats(&[0.1, -2.0]))].concat();
    record.extend(integer(22, 7));
    assert_eq!(bytes, [field(1, &record), field(1, &[])].concat());

    let json = json!({ "query_id": "q", "results": [{ "id": "a", "score": 0.25 }],
        "query_time_ms": 0.5, "status": "failed",
        "error": { "error_code": "X", "error_message": "m", "retriable": true, "limit": 5 } });
    let json = json!({ "batch_results": [json], "total_queries": 1 });
    let bytes = reply("search", json.to_string().as_bytes()).unwrap();
    let mut score = field(1, b"a");
    put_float(2, 0.25, &mut score);
    let failure = [field(1, b"X"), field(2, b"m"), integer(3, 1)].concat();
    let failure = [failure, field(4, &structure("limit", 5.0))].concat();
    let mut result = [field(1, b"q"), field(2, &score)].concat();
    put_double(3, 0.5, &mut result);
    result.extend([field(4, b"failed"), field(20, &failure)].concat());
    assert_eq!(bytes, [field(1, &result), integer(2, 1)].concat());
}

#[test]
fn a_reply_with_a_name_that_its_message_lacks_is_a_fault() {
    let error = reply("count", br#"{"count":1,"more":2}"#).unwrap_err();
    assert_eq!(error.code, ErrorCode::Internal);
}

#[test]
fn every_call_has_its_messages() {
    for (verb, request, reply) in CALLS {
        assert!(schema::message(request).is_some(), "{verb}");
        assert!(schema::message(reply).is_some(), "{verb}");
    }
}

#[test]
fn varints_end_at_64_bits() {
    let mut largest = Vec::new();
    put_integer(1, u64::MAX, &mut largest);
    let read = Reader::new(&largest).next().unwrap();
    assert!(matches!(read, Some((1, Value::Varint(u64::MAX)))));
    *largest.last_mut().unwrap() = 2;
    assert!(Reader::new(&largest).next().is_err());
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), call in 0..CALLS.len()) {
        let _ = decode(CALLS[call].0, "protobuf", &bytes, Vec::new());
        let _ = decode("insert", "float32", &bytes, Vec::new());
    }

    #[test]
    fn no_cut_or_changed_message_panics(end in 0..100_usize, place in 0..100_usize, byte: u8) {
        let row = [field(1, b"a"), field(2, &floats(&[1.0, 2.0])), field(3, &structure("n", 1.5))];
        let mut body = insert(&[row.concat(), row.concat()]);
        if let Some(changed) = body.get_mut(place) {
            *changed = byte;
        }
        body.truncate(end);
        let _ = decode("insert", "protobuf", &body, Vec::new());
    }
}
