//! A bounded memory of recent keys whose clones are cheap: the window of idempotency keys, and
//! how far streams have come.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Keys of one generation. A write copies at most the newest generation, where a snapshot
/// still holds it.
const GENERATION_COUNT: usize = 256;

/// Who the key belongs to, and the key.
pub type Key = (String, String);

/// How much is remembered.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Keys that are remembered at least, while they are young enough.
    pub count: usize,
    /// Bytes beyond which the oldest generation is forgotten, whatever its count.
    pub bytes: usize,
    /// Milliseconds after which a key is forgotten.
    pub age_ms: u64,
}

/// What is remembered of a key.
pub trait Remembered {
    /// The key that it is found by.
    fn key(&self) -> Key;
    /// When it was written, in milliseconds since 1970.
    fn time_ms(&self) -> u64;
    /// Its rough size in bytes.
    fn bytes(&self) -> usize;
}

#[derive(Clone, Debug)]
struct Generation<V> {
    entries: BTreeMap<Key, V>,
    bytes: usize,
    newest_ms: u64,
}

impl<V> Default for Generation<V> {
    fn default() -> Self {
        Generation {
            entries: BTreeMap::new(),
            bytes: 0,
            newest_ms: 0,
        }
    }
}

/// The newest entries by key; oldest generations go first. It is a fold over what was inserted,
/// so the same log gives the same memory.
#[derive(Clone, Debug)]
pub struct Recent<V> {
    bounds: Bounds,
    /// Oldest first; the last one is written to.
    generations: VecDeque<Arc<Generation<V>>>,
    count: usize,
    bytes: usize,
}

impl<V: Remembered + Clone> Recent<V> {
    /// An empty memory.
    pub fn new(bounds: Bounds) -> Self {
        Recent {
            bounds,
            generations: VecDeque::from([Arc::default()]),
            count: 0,
            bytes: 0,
        }
    }

    /// What was last inserted under a key, unless it is too old by now.
    pub fn get(&self, key: &Key, now_ms: u64) -> Option<&V> {
        let newest_first = self.generations.iter().rev();
        newest_first
            .filter_map(|generation| generation.entries.get(key))
            .next()
            .filter(|value| !self.is_old(value.time_ms(), now_ms))
    }

    /// Remembers a value, and forgets what is beyond the bounds.
    pub fn insert(&mut self, value: V) {
        let now_ms = value.time_ms();
        let bytes = value.bytes();
        if let Some(generation) = self.generations.back_mut() {
            let generation = Arc::make_mut(generation);
            generation.newest_ms = generation.newest_ms.max(now_ms);
            let old = generation.entries.insert(value.key(), value);
            let old_bytes = old.as_ref().map_or(0, Remembered::bytes);
            generation.bytes = generation.bytes + bytes - old_bytes;
            self.bytes = self.bytes + bytes - old_bytes;
            self.count += usize::from(old.is_none());
            if generation.entries.len() >= GENERATION_COUNT {
                self.generations.push_back(Arc::default());
            }
        }
        self.forget(now_ms);
    }

    /// All that is remembered, oldest generation first.
    pub fn iter(&self) -> impl Iterator<Item = &V> {
        self.generations
            .iter()
            .flat_map(|generation| generation.entries.values())
    }

    fn forget(&mut self, now_ms: u64) {
        while self.generations.len() > 1
            && let Some(oldest) = self.generations.front()
        {
            let count = oldest.entries.len();
            let dispensable = self.count - count >= self.bounds.count
                || self.bytes > self.bounds.bytes
                || self.is_old(oldest.newest_ms, now_ms);
            if !dispensable {
                break;
            }
            self.count -= count;
            self.bytes -= oldest.bytes;
            self.generations.pop_front();
        }
    }

    fn is_old(&self, time_ms: u64, now_ms: u64) -> bool {
        now_ms.saturating_sub(time_ms) > self.bounds.age_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Entry(u64, u64);

    impl Remembered for Entry {
        fn key(&self) -> Key {
            (String::new(), self.0.to_string())
        }
        fn time_ms(&self) -> u64 {
            self.1
        }
        fn bytes(&self) -> usize {
            10
        }
    }

    fn key(number: u64) -> Key {
        (String::new(), number.to_string())
    }

    const BOUNDS: Bounds = Bounds {
        count: 1000,
        bytes: usize::MAX,
        age_ms: 5000,
    };

    #[test]
    fn keeps_the_promised_count_and_little_more() {
        let mut recent = Recent::new(BOUNDS);
        for number in 0..5000 {
            recent.insert(Entry(number, 1));
        }
        assert!((4000..5000).all(|number| recent.get(&key(number), 1).is_some()));
        assert!(recent.get(&key(3000), 1).is_none());
        assert!(recent.iter().count() < 1000 + 2 * GENERATION_COUNT);
    }

    #[test]
    fn forgets_by_age_and_by_bytes() {
        let mut recent = Recent::new(BOUNDS);
        recent.insert(Entry(1, 1000));
        assert!(recent.get(&key(1), 6000).is_some());
        assert!(recent.get(&key(1), 6001).is_none());
        let mut small = Recent::new(Bounds {
            bytes: 5000,
            ..BOUNDS
        });
        for number in 0..900 {
            small.insert(Entry(number, 1));
        }
        assert!(small.iter().count() <= 500 + GENERATION_COUNT);
        assert!(small.get(&key(899), 1).is_some());
    }

    #[test]
    fn the_newest_value_of_a_key_counts_and_clones_do_not_change() {
        let mut recent = Recent::new(BOUNDS);
        recent.insert(Entry(1, 1));
        let before = recent.clone();
        for number in 0..600 {
            recent.insert(Entry(number, 2));
        }
        assert_eq!(recent.get(&key(1), 2), Some(&Entry(1, 2)));
        assert_eq!(before.get(&key(1), 2), Some(&Entry(1, 1)));
        assert_eq!(before.iter().count(), 1);
    }
}
