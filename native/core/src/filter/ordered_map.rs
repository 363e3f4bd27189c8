//! An ordered map with cheap clones, from bytes to values: the dictionary of the filter index.
//!
//! A B+ tree (Comer, "The Ubiquitous B-Tree", 1979) whose nodes are shared between clones and
//! copied when written to, so that a clone is an immutable view that costs one pointer, and
//! whatever a view no longer needs goes with it. Three choices keep a copy cheap and the tree
//! small:
//!
//! - The keys of a node stand end to end in one buffer: copying a node copies two buffers and
//!   its values, and a search stays within one stretch of memory.
//! - The keys of inner nodes are the shortest that tell their neighbors apart (Bayer and
//!   Unterauer, "Prefix B-trees", 1977).
//! - A node is removed when it is empty, and not merged before (Johnson and Shasha, "B-trees with
//!   inserts and deletes: why free-at-empty is better than merge-at-half", 1993).

#[cfg(test)]
mod tests;

use std::ops::Bound;
use std::sync::Arc;

/// Most entries of a leaf and children of an inner node.
const ENTRIES_MAX: usize = 32;
/// Bytes of keys above which a node of at least four entries is split all the same.
const KEY_BYTES_MAX: usize = 4096;
/// Entries for which a copied node has room: a node is copied to be written to.
const SPARE_ENTRIES: usize = 4;
/// Entries that a split for bytes needs, so that both halves of an inner node keep a key.
const SPLIT_ENTRIES_MIN: usize = 4;

/// A value of the map; an empty one is the same as none.
pub(super) trait Entry: Clone + Default {
    /// Whether the entry is to be dropped.
    fn is_empty(&self) -> bool;
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub(super) struct OrderedMap<V> {
    root: Option<Arc<Node<V>>>,
}

impl<V> Default for OrderedMap<V> {
    fn default() -> Self {
        OrderedMap { root: None }
    }
}

#[derive(Debug)]
enum Node<V> {
    Leaf {
        keys: Keys,
        values: Vec<V>,
    },
    /// A key stands between two children: it is above all keys of the left one, and not above any
    /// of the right one.
    Inner {
        keys: Keys,
        children: Vec<Arc<Node<V>>>,
    },
}

/// What a change made of a node, as its parent needs to know it.
enum Outcome<V> {
    Kept,
    Emptied,
    /// The node's upper part is now this one, and the key stands between them.
    Split(Vec<u8>, Node<V>),
}

impl<V: Entry> OrderedMap<V> {
    /// Whether there is no entry.
    pub(super) fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &[u8]) -> Option<&V> {
        let mut node = self.root.as_ref()?;
        loop {
            match &**node {
                Node::Leaf { keys, values } => return values.get(keys.search(key).ok()?),
                Node::Inner { keys, children } => node = children.get(keys.child_of(key))?,
            }
        }
    }

    /// Changes the value of a key, starting from the default where there is none; a value that is
    /// empty afterwards is removed.
    pub(super) fn update(&mut self, key: &[u8], change: impl FnOnce(&mut V)) {
        let root = self.root.get_or_insert_with(|| Arc::new(Node::leaf()));
        match Arc::make_mut(root).update(key, change) {
            Outcome::Kept => {
                while let Node::Inner { children, .. } = &**root
                    && let [only] = &children[..]
                {
                    *root = Arc::clone(only);
                }
            }
            Outcome::Emptied => self.root = None,
            Outcome::Split(key, right) => {
                let mut keys = Keys::default();
                keys.insert(0, &key);
                let children = vec![Arc::clone(root), Arc::new(right)];
                *root = Arc::new(Node::Inner { keys, children });
            }
        }
    }

    /// Calls back with every entry in the order of keys.
    pub(super) fn for_each(&self, visit: &mut impl FnMut(&[u8], &V)) {
        self.for_each_in(Bound::Unbounded, Bound::Unbounded, visit);
    }

    /// Calls back with every entry between two bounds, in the order of keys.
    pub(super) fn for_each_in(
        &self,
        lower: Bound<&[u8]>,
        upper: Bound<&[u8]>,
        visit: &mut impl FnMut(&[u8], &V),
    ) {
        if let Some(root) = &self.root {
            root.for_each_in(lower, upper, visit);
        }
    }

    /// Heap bytes, where `of_value` says those of a value; walks all nodes and values.
    pub(super) fn memory_bytes(&self, of_value: &impl Fn(&V) -> usize) -> usize {
        self.root
            .as_ref()
            .map_or(0, |root| root.memory_bytes(of_value))
    }
}

impl<V: Clone> Clone for Node<V> {
    fn clone(&self) -> Self {
        match self {
            Node::Leaf { keys, values } => Node::Leaf {
                keys: keys.clone(),
                values: with_spare(values, SPARE_ENTRIES),
            },
            Node::Inner { keys, children } => Node::Inner {
                keys: keys.clone(),
                children: with_spare(children, SPARE_ENTRIES),
            },
        }
    }
}

/// A copy with room for more.
pub(super) fn with_spare<T: Clone>(list: &[T], spare: usize) -> Vec<T> {
    let mut copy = Vec::with_capacity(list.len() + spare);
    copy.extend_from_slice(list);
    copy
}

impl<V: Entry> Node<V> {
    fn leaf() -> Self {
        Node::Leaf {
            keys: Keys::default(),
            values: Vec::new(),
        }
    }

    fn update(&mut self, key: &[u8], change: impl FnOnce(&mut V)) -> Outcome<V> {
        match self {
            Node::Leaf { keys, values } => match keys.search(key) {
                Ok(place) => {
                    change(&mut values[place]);
                    if values[place].is_empty() {
                        keys.remove(place);
                        values.remove(place);
                    }
                    if values.is_empty() {
                        Outcome::Emptied
                    } else {
                        Outcome::Kept
                    }
                }
                Err(place) => {
                    let mut value = V::default();
                    change(&mut value);
                    if !value.is_empty() {
                        keys.insert(place, key);
                        values.insert(place, value);
                    }
                    if values.is_empty() {
                        Outcome::Emptied
                    } else {
                        self.split_if_full(place)
                    }
                }
            },
            Node::Inner { keys, children } => {
                let place = keys.child_of(key);
                match Arc::make_mut(&mut children[place]).update(key, change) {
                    Outcome::Kept => Outcome::Kept,
                    Outcome::Emptied => {
                        children.remove(place);
                        if !children.is_empty() {
                            keys.remove(place.saturating_sub(1));
                        }
                        if children.is_empty() {
                            Outcome::Emptied
                        } else {
                            Outcome::Kept
                        }
                    }
                    Outcome::Split(key, right) => {
                        keys.insert(place, &key);
                        children.insert(place + 1, Arc::new(right));
                        self.split_if_full(place + 1)
                    }
                }
            }
        }
    }

    /// Splits a node that is too large after something was put at `place`.
    fn split_if_full(&mut self, place: usize) -> Outcome<V> {
        let (count, bytes) = match self {
            Node::Leaf { keys, values } => (values.len(), keys.bytes.len()),
            Node::Inner { keys, children } => (children.len(), keys.bytes.len()),
        };
        let heavy = bytes > KEY_BYTES_MAX && count >= SPLIT_ENTRIES_MIN;
        if count <= ENTRIES_MAX && !heavy {
            return Outcome::Kept;
        }
        // Keys that come in ascending order leave full nodes behind them.
        let middle = if place + 1 == count {
            count - 2
        } else {
            count / 2
        };
        match self {
            Node::Leaf { keys, values } => {
                let right_keys = keys.split_off(middle);
                let between = shortest_between(keys.get(middle - 1), right_keys.get(0));
                let right = Node::Leaf {
                    keys: right_keys,
                    values: values.split_off(middle),
                };
                values.shrink_to_fit();
                Outcome::Split(between, right)
            }
            Node::Inner { keys, children } => {
                let right_keys = keys.split_off(middle);
                let between = keys.get(middle - 1).to_vec();
                keys.remove(middle - 1);
                let right = Node::Inner {
                    keys: right_keys,
                    children: children.split_off(middle),
                };
                children.shrink_to_fit();
                Outcome::Split(between, right)
            }
        }
    }

    fn for_each_in(
        &self,
        lower: Bound<&[u8]>,
        upper: Bound<&[u8]>,
        visit: &mut impl FnMut(&[u8], &V),
    ) {
        match self {
            Node::Leaf { keys, values } => {
                for place in keys.range(lower, upper) {
                    visit(keys.get(place), &values[place]);
                }
            }
            Node::Inner { keys, children } => {
                let first = bound_key(lower).map_or(0, |key| keys.child_of(key));
                let last = bound_key(upper).map_or(keys.len(), |key| keys.child_of(key));
                for child in children.get(first..=last).unwrap_or_default() {
                    child.for_each_in(lower, upper, visit);
                }
            }
        }
    }

    fn memory_bytes(&self, of_value: &impl Fn(&V) -> usize) -> usize {
        let (keys, rest) = match self {
            Node::Leaf { keys, values } => {
                let heap: usize = values.iter().map(of_value).sum();
                (keys, values.capacity() * size_of::<V>() + heap)
            }
            Node::Inner { keys, children } => {
                let below: usize = children
                    .iter()
                    .map(|child| child.memory_bytes(of_value))
                    .sum();
                (keys, children.capacity() * size_of::<usize>() + below)
            }
        };
        // Two counters stand before the node in its allocation.
        size_of::<Self>() + 16 + keys.bytes.capacity() + keys.ends.capacity() * 4 + rest
    }
}

fn bound_key(bound: Bound<&[u8]>) -> Option<&[u8]> {
    match bound {
        Bound::Included(key) | Bound::Excluded(key) => Some(key),
        Bound::Unbounded => None,
    }
}

/// The shortest key that is above `left` and not above `right`, where `left < right`.
fn shortest_between(left: &[u8], right: &[u8]) -> Vec<u8> {
    let shared = left
        .iter()
        .zip(right)
        .take_while(|(left, right)| left == right)
        .count();
    right.iter().take(shared + 1).copied().collect()
}

/// Ascending keys, end to end.
#[derive(Debug, Default)]
struct Keys {
    bytes: Vec<u8>,
    /// Where each key ends; it starts where the one before it ends.
    ends: Vec<u32>,
}

impl Clone for Keys {
    fn clone(&self) -> Self {
        let average = self.bytes.len() / self.len().max(1);
        Keys {
            bytes: with_spare(&self.bytes, SPARE_ENTRIES * average),
            ends: with_spare(&self.ends, SPARE_ENTRIES),
        }
    }
}

impl Keys {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn start(&self, place: usize) -> usize {
        match place {
            0 => 0,
            _ => self.ends[place - 1] as usize,
        }
    }

    fn get(&self, place: usize) -> &[u8] {
        &self.bytes[self.start(place)..self.ends[place] as usize]
    }

    /// The first place whose key `before` does not accept, where it accepts a beginning of them.
    fn partition(&self, before: impl Fn(&[u8]) -> bool) -> usize {
        let (mut first, mut last) = (0, self.len());
        while first < last {
            let middle = first.midpoint(last);
            if before(self.get(middle)) {
                first = middle + 1;
            } else {
                last = middle;
            }
        }
        first
    }

    /// The place of a key, or the place where it would be.
    fn search(&self, key: &[u8]) -> Result<usize, usize> {
        let place = self.partition(|other| other < key);
        if place < self.len() && self.get(place) == key {
            Ok(place)
        } else {
            Err(place)
        }
    }

    /// Which child of an inner node a key belongs to.
    fn child_of(&self, key: &[u8]) -> usize {
        self.partition(|other| other <= key)
    }

    /// The places of the keys between two bounds.
    fn range(&self, lower: Bound<&[u8]>, upper: Bound<&[u8]>) -> std::ops::Range<usize> {
        let first = match lower {
            Bound::Included(key) => self.partition(|other| other < key),
            Bound::Excluded(key) => self.partition(|other| other <= key),
            Bound::Unbounded => 0,
        };
        let last = match upper {
            Bound::Included(key) => self.partition(|other| other <= key),
            Bound::Excluded(key) => self.partition(|other| other < key),
            Bound::Unbounded => self.len(),
        };
        first..last
    }

    fn insert(&mut self, place: usize, key: &[u8]) {
        let start = self.start(place);
        let length = self.bytes.len();
        self.bytes.resize(length + key.len(), 0);
        self.bytes.copy_within(start..length, start + key.len());
        self.bytes[start..start + key.len()].copy_from_slice(key);
        self.ends.insert(place, start as u32);
        for end in &mut self.ends[place..] {
            *end += key.len() as u32;
        }
    }

    fn remove(&mut self, place: usize) {
        let (start, end) = (self.start(place), self.ends[place] as usize);
        self.bytes.drain(start..end);
        self.ends.remove(place);
        for later in &mut self.ends[place..] {
            *later -= (end - start) as u32;
        }
    }

    fn split_off(&mut self, place: usize) -> Keys {
        let start = self.start(place);
        let bytes = self.bytes.split_off(start);
        let mut ends = self.ends.split_off(place);
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
        for end in &mut ends {
            *end -= start as u32;
        }
        Keys { bytes, ends }
    }
}
