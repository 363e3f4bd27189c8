//! One process at a time: the store's lock file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::error::{Error, ErrorCode, Result};

const LOCK_FILE: &str = "LOCK";

/// Holds the store for this process until it is dropped; the system drops it on a crash too.
#[derive(Debug)]
pub struct StoreLock {
    _file: File,
}

impl StoreLock {
    /// Takes the lock of the store in a directory and leaves this process's number in it.
    ///
    /// # Errors
    /// `STORE_LOCKED` with `holder_pid` where another process has it.
    pub fn take(directory: &Path) -> Result<Self> {
        let path = directory.join(LOCK_FILE);
        let failed =
            |error: std::io::Error| Error::internal(format!("{}: {error}", path.display()));
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(locked(directory, &mut file)),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).map_err(failed)?;
        file.rewind().map_err(failed)?;
        write!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(StoreLock { _file: file })
    }
}

fn locked(directory: &Path, file: &mut File) -> Error {
    let mut holder = String::new();
    let _ = file.read_to_string(&mut holder);
    let holder = holder.trim().parse::<u32>().ok();
    let who = holder.map_or("another process".to_owned(), |pid| format!("process {pid}"));
    let error = Error::new(
        ErrorCode::StoreLocked,
        format!(
            "the store {} is open in {who}; only one process can have it",
            directory.display()
        ),
    );
    match holder {
        Some(pid) => error.with("holder_pid", pid),
        None => error,
    }
}
