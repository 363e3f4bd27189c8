//! The pools of threads that a store owns and joins when it closes.

use std::sync::Mutex;
use std::thread::JoinHandle;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Result};

/// Foreground threads (plan, search, encode), one thread for control, and indexer threads, which
/// have lower priority.
#[derive(Debug)]
pub struct Pools {
    foreground: JoinedPool,
    control: JoinedPool,
    indexer: JoinedPool,
}

impl Pools {
    /// Starts the pools, those that work with the given count of threads each.
    ///
    /// # Errors
    /// `INTERNAL` where the system refuses a thread.
    pub fn new(threads: usize) -> Result<Self> {
        Ok(Pools {
            foreground: JoinedPool::new("volley", threads, 0)?,
            control: JoinedPool::new("volley-control", 1, 0)?,
            indexer: JoinedPool::new("volley-index", threads, 10)?,
        })
    }

    /// Where requests are decoded, checked and answered.
    pub fn foreground(&self) -> &ThreadPool {
        self.foreground.pool()
    }

    /// Where calls are answered that only look at tables: how far batches are, their cancellation,
    /// reservations. In the foreground they would wait behind the very work that they are about.
    /// One thread, so they are answered in the order in which they came.
    pub fn control(&self) -> &ThreadPool {
        self.control.pool()
    }

    /// Where the graph is built.
    pub fn indexer(&self) -> &ThreadPool {
        self.indexer.pool()
    }
}

/// A rayon pool whose threads are joined on drop: rayon itself lets them end whenever they do,
/// and an addon may be unloaded before that.
#[derive(Debug)]
pub struct JoinedPool {
    pool: Option<ThreadPool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl JoinedPool {
    /// Starts threads, named alike.
    ///
    /// # Errors
    /// `INTERNAL` where the system refuses a thread.
    pub fn new(name: &str, threads: usize, niceness: i32) -> Result<Self> {
        let mut handles = Vec::with_capacity(threads);
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .spawn_handler(|thread| {
                let builder =
                    std::thread::Builder::new().name(format!("{name}-{}", thread.index()));
                handles.push(builder.spawn(move || {
                    lower_priority(niceness);
                    thread.run();
                })?);
                Ok(())
            })
            .build()
            .map_err(|error| Error::internal(format!("cannot start the threads: {error}")))?;
        Ok(JoinedPool {
            pool: Some(pool),
            threads: Mutex::new(handles),
        })
    }

    /// The pool.
    #[expect(clippy::expect_used, reason = "the pool is taken only in drop")]
    pub fn pool(&self) -> &ThreadPool {
        self.pool
            .as_ref()
            .expect("the pool lives as long as its owner")
    }
}

impl Drop for JoinedPool {
    fn drop(&mut self) {
        drop(self.pool.take());
        let handles = match self.threads.get_mut() {
            Ok(handles) => std::mem::take(handles),
            Err(poisoned) => std::mem::take(poisoned.into_inner()),
        };
        for handle in handles {
            // The last owner may be one of the threads themselves, which cannot join itself.
            if handle.thread().id() != std::thread::current().id() {
                let _ = handle.join();
            }
        }
    }
}

#[cfg(target_os = "linux")]
fn lower_priority(niceness: i32) {
    // On Linux niceness belongs to the thread. Without it the indexer only competes harder.
    if niceness > 0 {
        let _ = rustix::process::nice(niceness);
    }
}

#[cfg(not(target_os = "linux"))]
fn lower_priority(_niceness: i32) {}
