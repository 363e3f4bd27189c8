use proptest::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::*;

const DIMENSION: usize = DIMENSION_DEFAULT;

fn document(text: &str) -> Vec<f32> {
    let mut vector = vec![f32::NAN; DIMENSION];
    let lexical = Lexical::new(DIMENSION).unwrap();
    lexical.document(text, &mut vector).unwrap();
    vector
}

fn query(text: &str, statistics: &Statistics) -> Vec<f32> {
    let mut vector = vec![f32::NAN; DIMENSION];
    let lexical = Lexical::new(DIMENSION).unwrap();
    lexical.query(text, statistics, &mut vector).unwrap();
    vector
}

fn dot(left: &[f32], right: &[f32]) -> f32 {
    left.iter()
        .zip(right)
        .map(|(left, right)| left * right)
        .sum()
}

fn similarity(left: &str, right: &str) -> f32 {
    dot(&document(left), &document(right))
}

#[track_caller]
fn assert_unit(vector: &[f32]) {
    assert!((dot(vector, vector) - 1.0).abs() < 1e-4);
}

#[test]
fn a_dimension_beyond_its_limits_is_refused() {
    for dimension in [DIMENSION_MIN, DIMENSION_MIN + 1, DIMENSION_MAX] {
        assert_eq!(Lexical::new(dimension).unwrap().dimension(), dimension);
    }
    for (dimension, limit) in [(0, 64), (DIMENSION_MIN - 1, 64), (DIMENSION_MAX + 1, 8192)] {
        let error = Lexical::new(dimension).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidArgument);
        assert_eq!(
            (&error.details["actual"], &error.details["limit"]),
            (&dimension.into(), &limit.into())
        );
    }
}

#[test]
fn a_collection_of_another_embedder_is_refused() {
    let own = EmbedderDescription::built_in();
    assert_eq!(Lexical::open(&own, 100).unwrap().dimension(), 100);
    let later = EmbedderDescription {
        version: (VERSION + 1).to_string(),
        ..own.clone()
    };
    let other = EmbedderDescription {
        name: "minilm".to_owned(),
        ..own
    };
    for description in [later, other] {
        let error = Lexical::open(&description, 100).unwrap_err();
        assert_eq!(error.code, ErrorCode::Unsupported);
    }
}

#[test]
fn a_buffer_of_another_length_is_refused() {
    let lexical = Lexical::new(64).unwrap();
    for length in [0, 63, 65, 128] {
        let mut buffer = vec![0.0; length];
        assert_eq!(
            lexical.document("a", &mut buffer).unwrap_err().code,
            ErrorCode::Internal
        );
        let error = lexical
            .documents(&["a", "b", "c"], &mut buffer)
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Internal);
    }
}

#[test]
fn texts_without_words_have_vectors_too() {
    let empty = document("");
    assert_unit(&empty);
    assert_eq!(document(" \n\t\0"), empty);
    assert_eq!(query("", &Statistics::new()), empty);
    assert!(similarity("", "a word").abs() < 0.2);
    assert!(similarity("🦀🦀", "🦀") > 0.99);
    assert!(similarity("🦀", "->").abs() < 0.2);
}

#[test]
fn hostile_texts_are_embedded_in_bounded_work() {
    let bytes = 1 << 20;
    let units = [
        "a",
        "A",
        "aB",
        "a-",
        "a b ",
        "a_",
        "'",
        "a'",
        "+",
        "#",
        "\0",
        "\u{301}",
        "\u{20dd}",
        "e\u{301}",
        "漢",
        "漢a",
        "😀",
        "❤\u{fe0f}",
        "ا",
        "\u{202e}ש",
        "ﷺ",
        "ﬃ",
        "ไทย",
        "क्ष",
        "한",
        "\u{200d}",
        "İ",
        "\u{10ffff}",
    ];
    let statistics = Statistics::new();
    for unit in units {
        let text = unit.repeat(bytes / unit.len());
        assert_unit(&document(&text));
        assert_unit(&query(&text, &statistics));
    }
}

#[test]
fn the_same_text_gives_the_same_bytes_everywhere() {
    let golden: [(&str, u64); 6] = [
        ("", 0x94b6_4d78_6654_ac7c),
        (
            "The quick brown fox jumps over the lazy dog.",
            0x3439_a362_3414_2625,
        ),
        (
            "export declare function readFileSync(path: PathLike): Buffer;",
            0x833e_82c6_fa34_c0b9,
        ),
        (
            "Crème brûlée, 12 g of sugar; don't burn it! C++ C#",
            0x2da3_228e_b0e6_46a8,
        ),
        ("向量数据库 と 全文検索", 0x1724_170c_252e_3396),
        ("🦀 ->", 0x58b4_ed55_9a63_0535),
    ];
    let mut statistics = Statistics::new();
    golden.iter().for_each(|(text, _)| statistics.add(text));
    let digests = golden.map(|(text, _)| {
        let vectors = [document(text), query(text, &statistics)].concat();
        let bytes: Vec<u8> = vectors
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        xxh3_64(&bytes)
    });
    assert_eq!(digests, golden.map(|(_, digest)| digest), "{digests:#x?}");
}

#[test]
fn the_count_of_threads_changes_nothing() {
    let texts: Vec<String> = (0..300)
        .map(|n| format!("document {n} of Batch{}", n % 7))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let lexical = Lexical::new(100).unwrap();
    let embed = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let mut rows = vec![0.0; texts.len() * 100];
        pool.install(|| lexical.documents(&texts, &mut rows))
            .unwrap();
        rows
    };
    let alone = embed(1);
    assert_eq!(embed(4), alone);
    let mut row = vec![0.0; 100];
    lexical.document(texts[299], &mut row).unwrap();
    assert_eq!(row, alone[299 * 100..]);
}

#[test]
fn forms_of_a_word_meet() {
    assert!(similarity("Crème brûlée", "creme BRULEE") > 0.999);
    assert!(similarity("readFileSync", "read_file_sync") > 0.999);
    assert!(similarity("compressed files", "compressing a file") > 0.6);
    assert!(similarity("accommodation", "acommodation") > 0.3);
    assert!(similarity("readFileSync", "read a file") > 0.4);
    assert!(similarity("realtime", "real-time") > 0.3);
    assert!(similarity("数据库", "向量数据库") > 0.5);
    assert!(similarity("accommodation", "turbulent weather").abs() < 0.15);
}

#[test]
fn a_querys_words_weigh_by_their_rarity_in_the_collection() {
    let mut statistics = Statistics::new();
    (0..100).for_each(|n| statistics.add(&format!("protein number{n}")));
    let [common, rare] = ["protein structure", "enzyme structure"].map(document);
    let nearer = |statistics: &Statistics| {
        let query = query("protein enzyme", statistics);
        dot(&query, &rare) - dot(&query, &common)
    };
    assert!(nearer(&Statistics::new()).abs() < 0.1);
    assert!(nearer(&statistics) > 0.3);
}

#[test]
fn the_logarithm_is_good_to_six_digits() {
    for step in 0..20_000 {
        let number = 1.0 + f64::from(step).powi(3) / 997.0;
        assert!((log2(number) - number.log2()).abs() < 1e-6, "{number}");
    }
}

proptest! {
    #[test]
    fn every_text_has_a_unit_vector(text in any::<String>(), dimension in 64usize..300) {
        let lexical = Lexical::new(dimension).unwrap();
        let mut statistics = Statistics::new();
        statistics.add(&text);
        let (mut vector, mut again) = (vec![f32::NAN; dimension], vec![0.5; dimension]);
        lexical.document(&text, &mut vector).unwrap();
        lexical.document(&text, &mut again).unwrap();
        prop_assert_eq!(&vector, &again);
        prop_assert!((dot(&vector, &vector) - 1.0).abs() < 1e-4);
        lexical.query(&text, &statistics, &mut vector).unwrap();
        prop_assert!((dot(&vector, &vector) - 1.0).abs() < 1e-4);
    }
}

/// Invented documents, and for some of them words that ask for them.
const LIBRARY: [(&str, &str); 50] = [
    (
        "A sourdough starter is fed with flour and water every day until it bubbles.",
        "feeding sourdough",
    ),
    (
        "Roast the peppers over an open flame, then peel off the blackened skin.",
        "peeling roasted peppers",
    ),
    (
        "Temper the chocolate at 31 degrees so that it sets with a shine.",
        "chocolate tempering",
    ),
    (
        "Season a cast-iron pan with a thin film of linseed oil.",
        "castiron seasoning",
    ),
    (
        "The violinist tunes the A string to 442 hertz before the concert.",
        "tune violin",
    ),
    (
        "A fugue opens with a subject that each voice imitates in turn.",
        "imitation between voices of a fugue",
    ),
    (
        "Drummers keep time on the hi-hat and mark the backbeat on the snare.",
        "snare backbeat",
    ),
    (
        "The organ's bellows were repaired after the flood of the church.",
        "church organ repair",
    ),
    (
        "Glaciers carve U-shaped valleys and leave moraines behind.",
        "moraine left by a glacier",
    ),
    (
        "Basalt cools into hexagonal columns along the coast.",
        "hexagonal basalt column",
    ),
    (
        "Tidal pools shelter anemones, limpets and small crabs.",
        "annemones in tide pools",
    ),
    (
        "Monsoon rains swell the rivers of the delta from June on.",
        "rainy monsoon rivers",
    ),
    (
        "The lighthouse keeper logged every passing ship.",
        "light house keeper",
    ),
    (
        "Trams ran through the old town until the bridge was closed.",
        "tram in the old town",
    ),
    (
        "The night train crosses two borders before breakfast.",
        "train at night across borders",
    ),
    (
        "Bicycle brakes need new pads when the grooves are worn away.",
        "worn bicycle brake pad",
    ),
    (
        "A dovetail joint holds a drawer together without nails.",
        "dovetailed drawers",
    ),
    (
        "Sand along the grain with fine paper before varnishing.",
        "varnish",
    ),
    (
        "Knit two stitches together to shape the heel of the sock.",
        "knitting sock heels",
    ),
    (
        "Indigo turns blue only when the cloth leaves the vat.",
        "indigo dyeing vat",
    ),
    (
        "Vaccines train the immune system with a harmless antigen.",
        "imune system antigens",
    ),
    (
        "The retina turns light into signals for the optic nerve.",
        "optic nerve",
    ),
    (
        "Cartilage has no blood vessels and heals slowly.",
        "healing of cartilage",
    ),
    (
        "Insulin lets cells take up glucose from the blood.",
        "glucose uptake",
    ),
    (
        "Enzymes lower the energy that a reaction needs.",
        "enzymatic reaction energy",
    ),
    (
        "Neutron stars spin hundreds of times a second.",
        "spinning neutron star",
    ),
    ("A comet's tail always points away from the sun.", "comets"),
    (
        "Lenses of flint glass correct chromatic aberration.",
        "chromatic aberration",
    ),
    (
        "export function readFileSync(path: PathLike): Buffer;",
        "read file",
    ),
    (
        "export interface SocketAddress { host: string; port_number: number }",
        "portNumber of a socket",
    ),
    (
        "function debounce(callback: () => void, waitMs: number): () => void",
        "debouncing a callback",
    ),
    (
        "class HttpRequestParser { parseHeaders(chunk: Uint8Array): Headers }",
        "parse http headers",
    ),
    (
        "declare const requestAnimationFrame: (callback: FrameRequestCallback) => number;",
        "animation_frame",
    ),
    (
        "type DeepReadonly<T> = { readonly [K in keyof T]: DeepReadonly<T[K]> };",
        "deep readonly type",
    ),
    (
        "The garbage collector marks live objects and sweeps the rest.",
        "garbage collection",
    ),
    (
        "A B-tree keeps its keys sorted in pages of equal size.",
        "sorted keys in btree pages",
    ),
    (
        "A write-ahead log is synced before the page is changed.",
        "write ahead logging sync",
    ),
    (
        "Bloom filters answer membership with few false positives.",
        "bloom filter membership",
    ),
    (
        "Compilers unroll loops and inline small functions.",
        "loop unrolling",
    ),
    (
        "The scheduler preempts a thread at the end of its time slice.",
        "preemptive thread scheduling",
    ),
    (
        "Templates of C++ are expanded at compile time.",
        "C++ template",
    ),
    (
        "Nullable references are a feature of C# since version 8.",
        "C# nullable",
    ),
    (
        "Der Müller mahlt das Korn der Bauern zu Mehl.",
        "Muller Korn mahlen",
    ),
    (
        "Le château fut rebâti après l'incendie de 1713.",
        "chateau incendie",
    ),
    ("El pingüino nada más rápido que corre.", "PINGUINO"),
    ("Жёлтые листья лежат на дороге.", "желтые листья"),
    ("السفينة تبحر عند الفجر", "السفينة"),
    ("向量数据库按批次写入记录。", "数据库 批次"),
    ("図書館は午後八時に閉まります。", "図書館"),
    ("도서관은 여덟 시에 문을 닫습니다.", "도서관은"),
];

#[test]
fn queries_find_their_documents() {
    let mut statistics = Statistics::new();
    LIBRARY.iter().for_each(|(text, _)| statistics.add(text));
    let vectors = LIBRARY.map(|(text, _)| document(text));
    for (place, (text, words)) in LIBRARY.iter().enumerate() {
        let query = query(words, &statistics);
        let own = dot(&query, &vectors[place]);
        let better = vectors
            .iter()
            .filter(|vector| dot(&query, vector) > own)
            .count();
        assert_eq!(better, 0, "{words:?} should find {text:?}");
    }
}
