//! The reply that tells every limit.

use serde_json::json;

use super::json::Object;
use crate::limits;

/// Name, value and unit of every limit.
const LIMITS: [(&str, usize, &str); 36] = [
    ("id_bytes_max", limits::ID_BYTES_MAX, "bytes"),
    (
        "idempotency_key_bytes_max",
        limits::IDEMPOTENCY_KEY_BYTES_MAX,
        "bytes",
    ),
    (
        "idempotency_keys_kept",
        limits::IDEMPOTENCY_KEYS_KEPT,
        "keys",
    ),
    (
        "idempotency_age_ms_max",
        limits::IDEMPOTENCY_AGE_MS_MAX,
        "milliseconds",
    ),
    (
        "idempotency_bytes_max",
        limits::IDEMPOTENCY_BYTES_MAX,
        "bytes",
    ),
    ("stream_id_bytes_max", limits::STREAM_ID_BYTES_MAX, "bytes"),
    ("streams_kept", limits::STREAMS_KEPT, "streams"),
    (
        "stream_age_ms_max",
        limits::STREAM_AGE_MS_MAX,
        "milliseconds",
    ),
    ("stages_max", limits::STAGES_MAX, "streams"),
    ("batches_kept", limits::BATCHES_KEPT, "batches"),
    (
        "embeddings_waiting_max",
        limits::EMBEDDINGS_WAITING_MAX,
        "requests",
    ),
    (
        "embedder_name_bytes_max",
        limits::EMBEDDER_NAME_BYTES_MAX,
        "bytes",
    ),
    ("metadata_bytes_max", limits::METADATA_BYTES_MAX, "bytes"),
    ("metadata_depth_max", limits::METADATA_DEPTH_MAX, "levels"),
    (
        "integer_magnitude_max",
        limits::INTEGER_MAGNITUDE_MAX as usize,
        "integer",
    ),
    ("text_bytes_max", limits::TEXT_BYTES_MAX, "bytes"),
    ("dimension_min", limits::DIMENSION_MIN, "numbers"),
    ("dimension_max", limits::DIMENSION_MAX, "numbers"),
    ("hnsw_m_min", limits::HNSW_M_MIN, "links"),
    ("hnsw_m_max", limits::HNSW_M_MAX, "links"),
    (
        "ef_construction_min",
        limits::EF_CONSTRUCTION_MIN,
        "candidates",
    ),
    (
        "ef_construction_max",
        limits::EF_CONSTRUCTION_MAX,
        "candidates",
    ),
    ("search_limit_max", limits::SEARCH_LIMIT_MAX, "matches"),
    (
        "search_limit_default",
        limits::SEARCH_LIMIT_DEFAULT,
        "matches",
    ),
    ("ef_search_max", limits::EF_SEARCH_MAX, "candidates"),
    (
        "collection_name_characters_max",
        limits::COLLECTION_NAME_CHARACTERS_MAX,
        "characters",
    ),
    ("list_limit_max", limits::LIST_LIMIT_MAX, "records"),
    ("list_limit_default", limits::LIST_LIMIT_DEFAULT, "records"),
    ("lists_open_max", limits::LISTS_OPEN_MAX, "lists"),
    ("filter_depth_max", limits::FILTER_DEPTH_MAX, "levels"),
    (
        "filter_conditions_max",
        limits::FILTER_CONDITIONS_MAX,
        "conditions",
    ),
    ("filter_values_max", limits::FILTER_VALUES_MAX, "values"),
    (
        "filter_path_bytes_max",
        limits::FILTER_PATH_BYTES_MAX,
        "bytes",
    ),
    (
        "filter_range_bytes_max",
        limits::FILTER_RANGE_BYTES_MAX,
        "bytes",
    ),
    (
        "frame_payload_bytes_max",
        limits::FRAME_PAYLOAD_BYTES_MAX,
        "bytes",
    ),
    ("records_max", limits::RECORDS_MAX, "records"),
];

/// `{"id_bytes_max": {"value": 512, "unit": "bytes"}, ...}`, and after the limits of the product
/// those of this store, with what is free.
pub fn limits_reply(of_store: &[(&str, usize, &str)], out: &mut Vec<u8>) {
    let mut reply = Object::begin(out);
    for (name, value, unit) in LIMITS.iter().chain(of_store) {
        reply.field(name, json!({ "value": value, "unit": unit }));
    }
    reply.end();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_every_limit_there_is() {
        let source = include_str!("../../limits.rs");
        let names: Vec<String> = source
            .lines()
            .filter_map(|line| line.strip_prefix("pub const ")?.split(':').next())
            .map(str::to_lowercase)
            .collect();
        let told: Vec<&str> = LIMITS.iter().map(|(name, _, _)| *name).collect();
        assert_eq!(told, names);
    }

    #[test]
    fn each_has_its_value_and_unit() {
        let mut out = Vec::new();
        limits_reply(&[("memory_free_bytes", 7, "bytes")], &mut out);
        let reply: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            reply["id_bytes_max"],
            json!({ "value": 512, "unit": "bytes" })
        );
        assert_eq!(reply["integer_magnitude_max"]["value"], 1u64 << 53);
        assert_eq!(reply["memory_free_bytes"]["value"], 7);
    }
}
