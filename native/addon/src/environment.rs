//! What one JavaScript environment (the main thread, or a worker thread) has opened.

use std::cell::RefCell;
use std::sync::Arc;

use napi::bindgen_prelude::{Env, Result};

use crate::opened::Opened;

thread_local! {
    /// The stores that this thread's environment opened; `None` until the first.
    static OPENED: RefCell<Option<Vec<Arc<Opened>>>> = const { RefCell::new(None) };
}

/// Notes an opening, so that it is closed when the environment ends.
///
/// # Errors
/// Where Node takes no clean-up hook, e.g. while the environment ends.
pub fn register(env: &Env, opened: Arc<Opened>) -> Result<()> {
    let first = OPENED.with_borrow(Option::is_none);
    if first {
        env.add_env_cleanup_hook((), |()| close_all())?;
    }
    OPENED.with_borrow_mut(|list| {
        let list = list.get_or_insert_default();
        list.retain(|opened| !opened.is_closed());
        list.push(opened);
    });
    Ok(())
}

fn close_all() {
    // Taken, not borrowed: the thread may get another environment, with a hook of its own.
    let list = OPENED.with_borrow_mut(Option::take);
    for opened in list.unwrap_or_default() {
        // Nobody is left to tell; what was acknowledged is safe without a close.
        let _ = opened.close();
    }
}
