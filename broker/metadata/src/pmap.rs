//! A sorted map that is cheap to copy and cheap to change after a copy.
//!
//! The image is immutable: each batch of records yields a new one. A plain `BTreeMap` would copy
//! every topic for one new topic; here a copy shares all chunks, and a change copies the one chunk
//! it touches (at most `CHUNK_ENTRIES_MAX` entries) and the list of chunks. Iteration is in key
//! order, so that nothing depends on hash order.

use std::sync::Arc;

/// The most entries that one chunk holds before it splits.
const CHUNK_ENTRIES_MAX: usize = 64;

type Chunk<K, V> = Arc<Vec<(K, V)>>;

/// A sorted map whose clones share their chunks.
#[derive(Debug)]
pub struct PMap<K, V> {
    /// Never holds an empty chunk; keys ascend within and across chunks.
    chunks: Arc<Vec<Chunk<K, V>>>,
    len: usize,
}

impl<K, V> Clone for PMap<K, V> {
    fn clone(&self) -> Self {
        Self { chunks: Arc::clone(&self.chunks), len: self.len }
    }
}

impl<K, V> Default for PMap<K, V> {
    fn default() -> Self {
        Self { chunks: Arc::new(Vec::new()), len: 0 }
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for PMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        // Chunk borders depend on history, so equality is that of the entries.
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: Eq, V: Eq> Eq for PMap<K, V> {}

impl<K, V> PMap<K, V> {
    /// How many entries the map holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the map holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entries in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.chunks.iter().flat_map(|chunk| chunk.iter().map(|(key, value)| (key, value)))
    }

    /// The keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// The values in key order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }
}

impl<K: Ord + Clone, V: Clone> PMap<K, V> {
    /// The value of `key`.
    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let chunk = self.chunks.get(self.chunk_of(key)?)?;
        let at = chunk.binary_search_by(|(k, _)| k.borrow().cmp(key)).ok()?;
        chunk.get(at).map(|(_, value)| value)
    }

    /// Whether `key` is present.
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: std::borrow::Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.get(key).is_some()
    }

    /// The entries whose key is at or above `key`, in order.
    pub fn range_from<'a, Q>(&'a self, key: &Q) -> impl Iterator<Item = (&'a K, &'a V)>
    where
        K: std::borrow::Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let first = self.chunk_of(key).unwrap_or(0);
        let within = self
            .chunks
            .get(first)
            .map_or(0, |chunk| chunk.partition_point(|(k, _)| k.borrow() < key));
        self.chunks
            .iter()
            .skip(first)
            .flat_map(|chunk| chunk.iter().map(|(key, value)| (key, value)))
            .skip(within)
    }

    /// Sets `key` to `value` and gives the former value.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let Some(index) = self.chunk_of(&key) else {
            Arc::make_mut(&mut self.chunks).push(Arc::new(vec![(key, value)]));
            self.len += 1;
            return None;
        };
        let chunks = Arc::make_mut(&mut self.chunks);
        let chunk = Arc::make_mut(chunks.get_mut(index)?);
        match chunk.binary_search_by(|(k, _)| k.cmp(&key)) {
            Ok(at) => chunk.get_mut(at).map(|entry| std::mem::replace(&mut entry.1, value)),
            Err(at) => {
                chunk.insert(at, (key, value));
                self.len += 1;
                if chunk.len() > CHUNK_ENTRIES_MAX {
                    let upper = chunk.split_off(CHUNK_ENTRIES_MAX / 2);
                    chunks.insert(index + 1, Arc::new(upper));
                }
                None
            }
        }
    }

    /// Removes `key` and gives its value.
    pub fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let index = self.chunk_of(key)?;
        let at = self.chunks.get(index)?.binary_search_by(|(k, _)| k.borrow().cmp(key)).ok()?;
        let chunks = Arc::make_mut(&mut self.chunks);
        let chunk = Arc::make_mut(chunks.get_mut(index)?);
        let (_, value) = chunk.remove(at);
        if chunk.is_empty() {
            chunks.remove(index);
        }
        self.len -= 1;
        Some(value)
    }

    /// Changes the value of `key` in place; `None` when the key is absent.
    pub fn update<Q, T>(&mut self, key: &Q, change: impl FnOnce(&mut V) -> T) -> Option<T>
    where
        K: std::borrow::Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let index = self.chunk_of(key)?;
        let at = self.chunks.get(index)?.binary_search_by(|(k, _)| k.borrow().cmp(key)).ok()?;
        let chunk = Arc::make_mut(Arc::make_mut(&mut self.chunks).get_mut(index)?);
        chunk.get_mut(at).map(|entry| change(&mut entry.1))
    }

    /// The chunk in which `key` lies or would lie; `None` when there are no chunks.
    fn chunk_of<Q>(&self, key: &Q) -> Option<usize>
    where
        K: std::borrow::Borrow<Q>,
        Q: Ord + ?Sized,
    {
        if self.chunks.is_empty() {
            return None;
        }
        let after = self
            .chunks
            .partition_point(|chunk| chunk.first().is_some_and(|(k, _)| k.borrow() <= key));
        Some(after.saturating_sub(1))
    }
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for PMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::default();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn behaves_as_a_btree_map(
            ops in prop::collection::vec((0u16..400, any::<Option<u8>>()), 0..900),
        ) {
            let mut ours = PMap::default();
            let mut model = BTreeMap::new();
            let mut old = (ours.clone(), model.clone());
            for (i, (key, op)) in ops.into_iter().enumerate() {
                match op {
                    Some(value) => {
                        prop_assert_eq!(ours.insert(key, value), model.insert(key, value));
                    }
                    None => prop_assert_eq!(ours.remove(&key), model.remove(&key)),
                }
                if i % 97 == 0 {
                    // What was cloned before must not have changed since.
                    prop_assert!(old.0.iter().eq(old.1.iter()));
                    old = (ours.clone(), model.clone());
                }
            }
            prop_assert_eq!(ours.len(), model.len());
            prop_assert!(ours.iter().eq(model.iter()));
            for from in [0u16, 33, 200, 399] {
                prop_assert!(ours.range_from(&from).eq(model.range(from..)));
                prop_assert_eq!(ours.get(&from), model.get(&from));
            }
            let rebuilt: PMap<u16, u8> = model.into_iter().collect();
            prop_assert_eq!(rebuilt, ours);
        }
    }
}
