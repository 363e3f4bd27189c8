//! The list of collections that *is* the store; replaced as a whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::collection::CollectionConfig;
use crate::error::{Error, ErrorCode, Result};
use crate::storage::Storage;

const CATALOG_FILE: &str = "catalog.json";
const CATALOG_NEW: &str = "catalog.new";
const COLLECTIONS: &str = "collections";
const FORMAT: u32 = 1;

/// Names, directories and settings of all collections.
///
/// Directories are numbered: no part of a path comes from a caller.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    format: u32,
    next: u64,
    collections: BTreeMap<String, Entry>,
}

/// One collection in the catalog.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Number of the collection's directory.
    number: u64,
    /// What was fixed when the collection was created.
    pub config: CollectionConfig,
}

impl Entry {
    /// The collection's directory.
    pub fn directory(&self) -> String {
        format!("{COLLECTIONS}/{:08}", self.number)
    }
}

impl Catalog {
    /// Reads the catalog of a store, or begins one; removes what a crash left of dropped or
    /// half-created collections.
    ///
    /// # Errors
    /// `CORRUPTED` where the file is not a catalog, `UNSUPPORTED` where it is of a later format.
    pub fn open(storage: &dyn Storage) -> Result<Self> {
        storage.create_directory(COLLECTIONS)?;
        if !storage.list("")?.iter().any(|name| name == CATALOG_FILE) {
            let catalog = Catalog {
                format: FORMAT,
                next: 1,
                collections: BTreeMap::new(),
            };
            catalog.write(storage)?;
            return Ok(catalog);
        }
        let bytes = storage.read(CATALOG_FILE)?;
        let catalog: Catalog = serde_json::from_slice(&bytes)
            .map_err(|error| Error::corrupted(CATALOG_FILE, error))?;
        if catalog.format != FORMAT {
            let message = format!(
                "the store's format is {}, this version reads {FORMAT}",
                catalog.format
            );
            return Err(Error::new(ErrorCode::Unsupported, message));
        }
        catalog.remove_leftovers(storage)?;
        Ok(catalog)
    }

    /// The entry of a collection.
    ///
    /// # Errors
    /// `COLLECTION_NOT_FOUND`.
    pub fn get(&self, name: &str) -> Result<&Entry> {
        self.collections.get(name).ok_or_else(|| {
            Error::new(
                ErrorCode::CollectionNotFound,
                format!("no collection is named {name:?}"),
            )
            .with("collection", name)
        })
    }

    /// All collections by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.collections
            .iter()
            .map(|(name, entry)| (name.as_str(), entry))
    }

    /// Adds a collection, durably.
    ///
    /// # Errors
    /// `COLLECTION_EXISTS`; otherwise what the storage reports, and nothing is changed.
    pub fn create(
        &mut self,
        storage: &dyn Storage,
        name: &str,
        config: CollectionConfig,
    ) -> Result<()> {
        if self.collections.contains_key(name) {
            let message = format!("a collection named {name:?} exists");
            return Err(Error::new(ErrorCode::CollectionExists, message).with("collection", name));
        }
        let entry = Entry {
            number: self.next,
            config,
        };
        storage.create_directory(&entry.directory())?;
        storage.sync_directory(COLLECTIONS)?;
        let mut changed = self.clone();
        changed.next += 1;
        changed.collections.insert(name.to_owned(), entry);
        changed.write(storage)?;
        *self = changed;
        Ok(())
    }

    /// Removes a collection, durably, and then its files.
    ///
    /// # Errors
    /// `COLLECTION_NOT_FOUND`; otherwise what the storage reports, and nothing is changed.
    pub fn drop_collection(&mut self, storage: &dyn Storage, name: &str) -> Result<()> {
        let directory = self.get(name)?.directory();
        let mut changed = self.clone();
        changed.collections.remove(name);
        changed.write(storage)?;
        *self = changed;
        storage.remove_directory(&directory)
    }

    fn write(&self, storage: &dyn Storage) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::internal(format!("the catalog cannot be encoded: {error}")))?;
        let mut file = storage.create(CATALOG_NEW)?;
        file.append(&bytes)?;
        file.sync()?;
        storage.rename(CATALOG_NEW, CATALOG_FILE)?;
        storage.sync_directory("")
    }

    fn remove_leftovers(&self, storage: &dyn Storage) -> Result<()> {
        for name in storage.list(COLLECTIONS)? {
            let directory = format!("{COLLECTIONS}/{name}");
            if !self
                .collections
                .values()
                .any(|entry| entry.directory() == directory)
            {
                storage.remove_directory(&directory)?;
            }
        }
        Ok(())
    }
}
