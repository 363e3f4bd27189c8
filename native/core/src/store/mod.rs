//! The collections of one directory, or of memory, and everything they share.

mod batches;
mod budget;
mod catalog;
mod context;
mod deadlines;
mod dispatch;
mod embedding;
mod lock;
mod memory;
mod options;
mod order;
mod reads;
mod responder;
mod running;
mod settings;
mod spare_blocks;
mod stages;
mod unembedded;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

pub use budget::Budget;
pub use context::CallContext;
pub use options::StoreOptions;
pub use settings::BatchOperations;

use crate::batch::WriteOptions;
use crate::collection::{Collection, CollectionConfig, Thresholds};
use crate::error::{Error, ErrorCode, Result};
use crate::pools::Pools;
use crate::storage::{FileStorage, MemoryStorage, Storage};
use batches::Batches;
use catalog::Catalog;
use deadlines::Deadlines;
use dispatch::Incoming;
use lock::StoreLock;
use memory::Reservations;
use order::Order;
use responder::Responder;
use running::Running;
use spare_blocks::SpareBlocks;
use stages::Stages;
use unembedded::Unembedded;

/// Log buffers that a collection keeps for reuse take at most one part in so many of the budget.
const SPARE_SHARE: usize = 32;

/// The path of a store that lives in memory and ends with its last handle.
pub const MEMORY: &str = ":memory:";

/// The stores that this process has open, by directory: whoever opens one again, from whatever
/// thread, shares it.
static OPEN: Mutex<BTreeMap<PathBuf, Weak<Inner>>> = Mutex::new(BTreeMap::new());

/// One opener's handle of a store. Clones are the same handle.
#[derive(Clone)]
pub struct Store {
    handle: Arc<Handle>,
}

struct Handle {
    inner: Arc<Inner>,
    closed: AtomicBool,
}

/// What all handles of a store share.
struct Inner {
    path: Option<PathBuf>,
    storage: Arc<dyn Storage>,
    pools: Arc<Pools>,
    options: StoreOptions,
    thresholds: Thresholds,
    catalog: Mutex<Catalog>,
    collections: Mutex<HashMap<String, Arc<Collection>>>,
    order: Order,
    unembedded: Unembedded,
    /// What a write that does not say gets.
    write_defaults: WriteOptions,
    batches: Arc<Batches>,
    deadlines: Deadlines,
    budget: Arc<Budget>,
    /// This store's say in the budget's limit.
    budget_number: u64,
    reservations: Reservations,
    spare_blocks: SpareBlocks,
    stages: Stages,
    openers: AtomicUsize,
    closed: AtomicBool,
    running: Arc<Running>,
    lock: Mutex<Option<StoreLock>>,
}

impl Store {
    /// Opens the store in a directory, which is made where it does not exist, or a new one in
    /// memory for the path `:memory:`. `options` is JSON; see [`StoreOptions`].
    ///
    /// # Errors
    /// `STORE_LOCKED` where another process has it open, `INVALID_ARGUMENT` for bad options or
    /// for options that differ from those it is open with, `CORRUPTED`, `UNSUPPORTED`.
    pub fn open(path: &str, options: &[u8]) -> Result<Self> {
        let options = StoreOptions::parse(options)?;
        if path == MEMORY {
            let storage = Arc::new(MemoryStorage::default());
            let budget = Budget::of_process();
            let inner = Inner::new(None, storage, options, Thresholds::default(), None, budget)?;
            return Ok(Self::handle(inner));
        }
        let directory = Path::new(path);
        let failed = |error| Error::internal(format!("{path}: {error}"));
        std::fs::create_dir_all(directory).map_err(failed)?;
        let directory = directory.canonicalize().map_err(failed)?;
        // Held to the end, so that two openers cannot both find the store closed.
        let mut open = lock_open();
        if let Some(inner) = open.get(&directory).and_then(Weak::upgrade) {
            if inner.options != options {
                let message = format!("{path} is open in this process with other options");
                return Err(Error::invalid("options", message));
            }
            inner.openers.fetch_add(1, Ordering::AcqRel);
            return Ok(Self::handle(inner));
        }
        let lock = StoreLock::take(&directory)?;
        let storage = Arc::new(FileStorage::new(&directory));
        let path = Some(directory.clone());
        let budget = Budget::of_process();
        let thresholds = Thresholds::default();
        let inner = Inner::new(path, storage, options, thresholds, Some(lock), budget)?;
        open.insert(directory, Arc::downgrade(&inner));
        Ok(Self::handle(inner))
    }

    /// Opens a store over any storage, with chosen thresholds; it is shared with nobody, and has
    /// a memory budget of its own.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn over(
        storage: Arc<dyn Storage>,
        options: StoreOptions,
        thresholds: Thresholds,
    ) -> Result<Self> {
        let budget = Arc::default();
        Inner::new(None, storage, options, thresholds, None, budget).map(Self::handle)
    }

    /// One request: its line (see [`crate::codec::verb`]), the [`crate::codec::Format`] of its
    /// body, the body, the vectors that come beside it, and what the door says of the call.
    /// Returns at once; `reply` is called
    /// exactly once, from one of the engine's threads.
    pub fn call(
        &self,
        line: &str,
        format: &str,
        body: Vec<u8>,
        block: Vec<f32>,
        context: CallContext,
        reply: Box<dyn FnOnce(Vec<u8>) + Send>,
    ) {
        let responder = Responder::new(reply);
        if self.handle.closed.load(Ordering::Acquire) {
            return responder.refuse(&closed());
        }
        let incoming = Incoming {
            line: line.to_owned(),
            format: format.to_owned(),
            body,
            block,
            context,
        };
        dispatch::call(&self.handle.inner, incoming, responder);
    }

    /// An empty block for a call's vectors, with room for so many numbers; best one that an earlier
    /// call has filled.
    pub fn empty_block(&self, numbers: usize) -> Vec<f32> {
        self.handle.inner.spare_blocks.take(numbers)
    }

    /// [`Store::call`] that waits for the reply; not for threads of the engine's own.
    pub fn call_and_wait(
        &self,
        verb: &str,
        header: Vec<u8>,
        block: Vec<f32>,
        context: CallContext,
    ) -> Vec<u8> {
        let (sender, reply) = std::sync::mpsc::channel();
        let send = move |bytes| {
            let _ = sender.send(bytes);
        };
        self.call(verb, "json", header, block, context, Box::new(send));
        reply.recv().unwrap_or_default()
    }

    /// Ends this handle. The last one finishes running batches, makes everything durable and
    /// joins the threads; closing again does nothing.
    ///
    /// # Errors
    /// What the storage reports; acknowledged batches are safe all the same.
    pub fn close(&self) -> Result<()> {
        self.handle.close()
    }

    fn handle(inner: Arc<Inner>) -> Self {
        Store {
            handle: Arc::new(Handle {
                inner,
                closed: AtomicBool::new(false),
            }),
        }
    }
}

impl Handle {
    fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        // Held to the end, so that nobody opens the store before its files are at rest.
        let mut open = lock_open();
        if self.inner.openers.fetch_sub(1, Ordering::AcqRel) > 1 {
            return Ok(());
        }
        let result = self.inner.close();
        if let Some(path) = &self.inner.path {
            open.remove(path);
        }
        result
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _ = self.close();
    }
}

impl Inner {
    fn new(
        path: Option<PathBuf>,
        storage: Arc<dyn Storage>,
        options: StoreOptions,
        mut thresholds: Thresholds,
        lock: Option<StoreLock>,
        budget: Arc<Budget>,
    ) -> Result<Arc<Self>> {
        let catalog = Catalog::open(&*storage)?;
        let pools = Arc::new(Pools::new(options.thread_count())?);
        let settings = &options.batch_operations;
        let spare_bytes_max = settings.budget_bytes() / SPARE_SHARE;
        thresholds.spare_bytes_max = thresholds.spare_bytes_max.min(spare_bytes_max);
        let write_defaults = WriteOptions {
            atomic: settings.atomic_by_default,
            ..WriteOptions::default()
        };
        let batches = Arc::new(Batches::new(settings.progress_reporting));
        // A store with the default leaves the say to others of the process.
        let is_default = settings.budget_bytes() == budget::BUDGET_BYTES_DEFAULT;
        let budget_number = budget.open((!is_default).then(|| settings.budget_bytes()));
        Ok(Arc::new(Inner {
            path,
            storage,
            pools,
            options,
            thresholds,
            catalog: Mutex::new(catalog),
            collections: Mutex::default(),
            order: Order::default(),
            unembedded: Unembedded::default(),
            write_defaults,
            batches,
            deadlines: Deadlines::default(),
            budget,
            budget_number,
            reservations: Reservations::default(),
            spare_blocks: SpareBlocks::default(),
            stages: Stages::default(),
            openers: AtomicUsize::new(1),
            closed: AtomicBool::new(false),
            running: Arc::default(),
            lock: Mutex::new(lock),
        }))
    }

    /// The open collection of a name; opens it where this is its first use.
    fn collection(&self, name: &str) -> Result<Arc<Collection>> {
        let mut collections = self.collections();
        if self.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        if let Some(collection) = collections.get(name) {
            return Ok(Arc::clone(collection));
        }
        let entry = self.catalog().get(name)?.clone();
        let collection = Arc::new(Collection::open(
            name,
            &entry.directory(),
            entry.config,
            Arc::clone(&self.storage),
            Arc::clone(&self.pools),
            self.options.durability,
            self.thresholds,
        )?);
        collections.insert(name.to_owned(), Arc::clone(&collection));
        Ok(collection)
    }

    fn create(&self, name: &str, config: CollectionConfig) -> Result<Arc<Collection>> {
        self.catalog().create(&*self.storage, name, config)?;
        self.collection(name)
    }

    fn drop_collection(&self, name: &str) -> Result<()> {
        let mut collections = self.collections();
        self.catalog().get(name)?;
        if let Some(collection) = collections.remove(name) {
            collection.close()?;
        }
        self.catalog().drop_collection(&*self.storage, name)
    }

    fn names(&self) -> Vec<String> {
        self.catalog()
            .iter()
            .map(|(name, _)| name.to_owned())
            .collect()
    }

    fn close(&self) -> Result<()> {
        // Nobody can come back to what waits for its caller; what it holds is needed by others.
        self.unembedded.close();
        self.reservations.close();
        self.stages.close();
        self.running.wait_for_none();
        self.deadlines.close();
        self.budget.close(self.budget_number);
        let collections = {
            let mut collections = self.collections();
            self.closed.store(true, Ordering::Release);
            std::mem::take(&mut *collections)
        };
        let mut result = Ok(());
        for collection in collections.into_values() {
            result = result.and(collection.close());
        }
        // Whoever still holds a part of the store must not keep others from opening it.
        drop(
            self.lock
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        result
    }

    fn catalog(&self) -> MutexGuard<'_, Catalog> {
        // A catalog is replaced as a whole, so the one behind a poisoned lock is whole.
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn collections(&self) -> MutexGuard<'_, HashMap<String, Arc<Collection>>> {
        self.collections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock_open() -> MutexGuard<'static, BTreeMap<PathBuf, Weak<Inner>>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn closed() -> Error {
    Error::new(ErrorCode::StoreClosed, "the store was closed")
}
